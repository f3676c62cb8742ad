package acceptance

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// patience is how long a test waits for a state. It bounds a failure; nothing is measured against it.
const patience = 2 * time.Minute

// States of an order, as clients compare them.
const (
	stateNew        = "new"
	stateAwaiting   = "awaiting-challenge-fulfillment"
	stateProcessing = "processing-challenge"
	stateCompleted  = "completed"
	stateRevoked    = "revoked"
	stateError      = "error"
)

// finalStates are left by no order, except that a completed one can be revoked.
var finalStates = []string{stateCompleted, stateRevoked, stateError, "expired"}

// order is an order of a role at a site.
type order struct {
	site
	role string
	id   string
}

// unique returns a short name that no other test uses.
func unique() string { return "t" + strings.ToLower(rand.Text()[:10]) }

// newRole makes a role of the account "pebble" for names at and below its own domain, which is returned too.
func (s site) newRole(t *testing.T, more fields) (role, domain string) {
	t.Helper()
	role = unique()
	domain = role + ".example.com"
	body := fields{
		"acme_account_name": "pebble", "allowed_domains": domain, "allowed_domain_options": "bare_domains,subdomains",
	}
	for name, value := range more {
		body[name] = value
	}
	s.write(t, "role/"+role, body)
	return role, domain
}

func (s site) newOrder(t *testing.T, role string, body fields) order {
	t.Helper()
	id := s.write(t, "role/"+role+"/new-order", body).text(t, "order_id")
	return order{s, role, id}
}

func (o order) path() string { return "role/" + o.role + "/order/" + o.id }

func (o order) status(t *testing.T) fields {
	t.Helper()
	return o.read(t, o.path()+"/status")
}

// await waits until the order is in one of the wanted states and returns its status. It gives up when the
// order is in another final state.
func (o order) await(t *testing.T, want ...string) fields {
	t.Helper()
	return o.awaitAs(t, o.Vault.Token, want...)
}

// awaitAs is await with another token.
func (o order) awaitAs(t *testing.T, token string, want ...string) fields {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var status fields
	err := testbed.Until(ctx, func(ctx context.Context) error {
		a, err := o.send(ctx, token, http.MethodGet, o.path()+"/status", nil)
		if err != nil {
			return err
		}
		if a.Status != http.StatusOK {
			return fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		status = a.Data
		state, _ := status["order_status"].(string)
		if slices.Contains(want, state) {
			return nil
		}
		if slices.Contains(finalStates, state) {
			giveUp(errors.New("the order will not change any more"))
		}
		return fmt.Errorf("order %s is %q, want %q; last_error %q", o.id, state, want, status["last_error"])
	})
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// challenge reads the challenge of one identifier.
func (o order) challenge(t *testing.T, identifier, kind string) fields {
	t.Helper()
	query := url.Values{"identifier": {identifier}, "challenge_type": {kind}}
	return o.read(t, o.path()+"/challenge?"+query.Encode())
}

// fulfill lets the web server answer the http-01 challenge of each identifier, and says so.
func (o order) fulfill(t *testing.T, identifiers ...string) {
	t.Helper()
	for _, identifier := range identifiers {
		c := o.challenge(t, identifier, "http-01")
		if err := o.Web.Publish(c.text(t, "challenge_token"), c.text(t, "challenge_auth")); err != nil {
			t.Fatal(err)
		}
		o.write(t, o.path()+"/fulfilled-challenge", fields{"identifier": identifier, "challenge_type": "http-01"})
	}
}

// complete carries a new order to its certificate.
func (o order) complete(t *testing.T) fields {
	t.Helper()
	status := o.await(t, stateAwaiting)
	o.fulfill(t, status.texts(t, "identifiers")...)
	o.await(t, stateCompleted)
	return o.read(t, o.path()+"/fetch-cert")
}

// issue orders and completes a certificate in the identifier workflow.
func (s site) issue(t *testing.T, role string, identifiers ...string) (order, fields) {
	t.Helper()
	o := s.newOrder(t, role, fields{"identifiers": identifiers})
	return o, o.complete(t)
}

// settle waits until the role has no active orders: an order leaves that list a moment after it is final.
func (s site) settle(t *testing.T, role string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := testbed.Until(ctx, func(ctx context.Context) error {
		a, err := s.send(ctx, s.Vault.Token, "LIST", "role/"+role+"/active-orders", nil)
		if err == nil && a.Status != http.StatusNotFound {
			err = fmt.Errorf("role %s still has active orders: %s", role, a.Body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// verified parses the leaf of an answer and verifies it for each name against the CA's own root.
func (s site) verified(t *testing.T, cert fields, names ...string) *x509.Certificate {
	t.Helper()
	leaf, err := testbed.ParseCertificate(cert.text(t, "certificate"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := s.Pebble.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(root))
	for _, ca := range cert.texts(t, "ca_chain") {
		intermediates.AppendCertsFromPEM([]byte(ca))
	}
	for _, name := range names {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
			t.Errorf("for %s: %v", name, err)
		}
	}
	got, want := slices.Clone(leaf.DNSNames), slices.Sorted(slices.Values(names))
	for _, address := range leaf.IPAddresses {
		got = append(got, address.String())
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the certificate is for %q, want %q", got, want)
	}
	return leaf
}
