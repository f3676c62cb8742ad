package acceptance

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"

	"golang.org/x/crypto/acme"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// work is a kind of work that can be interrupted at its worst moment: the CA has done what it was asked, and its
// answer does not arrive.
type work struct {
	what string
	lost string // the answer
	// prepare does what comes before. It returns what is interrupted, and what must be true in the end, after the
	// client has repeated what it had no answer to.
	prepare func(clusterSite, *testing.T) (begin func(context.Context) error, end func(*testing.T))
}

var works = []work{
	{"an order that somebody proves", testbed.PathFinalize, clusterSite.manualOrder},
	{"an order that Vault proves", testbed.PathFinalize, clusterSite.automaticOrder},
	{"an order for somebody's key", testbed.PathFinalize, clusterSite.orderForKey},
	{"a revocation", testbed.PathRevoke, clusterSite.revocation},
	{"a new account", testbed.PathNewAccount, clusterSite.creation},
	{"an account that is imported", testbed.PathNewAccount, clusterSite.importation},
	{"an account's new key", testbed.PathKeyChange, clusterSite.rotation},
	{"an account that is deleted", testbed.PathAccount, clusterSite.deletion},
}

func (c clusterSite) manualOrder(t *testing.T) (func(context.Context) error, func(*testing.T)) {
	j := c.manual()
	j.take(t, (*journey).begin)
	return j.start, func(t *testing.T) {
		j.take(t, (*journey).finish)
		c.checkKeyed(t, j.cert, j.name)
	}
}

func (c clusterSite) automaticOrder(*testing.T) (func(context.Context) error, func(*testing.T)) {
	j := c.automatic()
	return j.start, func(t *testing.T) {
		j.take(t, (*journey).finish)
		c.checkKeyed(t, j.cert, j.name)
		noProofs(t, c.bind.Addr, bindZone, j.name)
	}
}

func (c clusterSite) orderForKey(t *testing.T) (func(context.Context) error, func(*testing.T)) {
	j, key := c.manual(), newKey(t)
	j.csr = newCSR(t, key, csrFor(j.name))
	j.take(t, (*journey).begin)
	return j.start, func(t *testing.T) {
		j.take(t, (*journey).finish)
		if leaf := c.verified(t, j.cert, j.name); !key.PublicKey.Equal(leaf.PublicKey) {
			t.Error("the certificate is not for the key that signed the request")
		}
	}
}

func (c clusterSite) revocation(t *testing.T) (func(context.Context) error, func(*testing.T)) {
	j := c.manual()
	j.take(t, (*journey).begin, (*journey).start, (*journey).finish)
	begin, answered := c.inBackground(http.MethodPost, j.path()+"/revoke", fields{"reason": "superseded"})
	return begin, func(t *testing.T) {
		answered(t, http.StatusNoContent)
		j.take(t, func(j *journey, ctx context.Context) error { return j.await(ctx, stateRevoked) })
		got, err := c.Pebble.CertificateStatus(t.Context(), j.cert.text(t, "serial_number"))
		if want := (testbed.CertificateStatus{Status: "Revoked", Reason: 4}); got != want {
			t.Errorf("the CA says %+v (error %v), want %+v", got, err, want)
		}
	}
}

func (c clusterSite) creation(*testing.T) (func(context.Context) error, func(*testing.T)) {
	name := unique()
	begin, answered := c.inBackground(http.MethodPost, "config/acme-account/"+name, c.account())
	return begin, func(t *testing.T) {
		answered(t, http.StatusOK)
		c.usable(t, name)
	}
}

func (c clusterSite) importation(t *testing.T) (func(context.Context) error, func(*testing.T)) {
	name, key := unique(), newKey(t)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	external := acme.Client{Key: key, DirectoryURL: c.gateway.DirectoryURL, HTTPClient: trusting(c.gateway.TrustedCA)}
	if _, err := external.Register(t.Context(), &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	begin, answered := c.inBackground(http.MethodPost, "config/acme-account/"+name+"/import", fields{
		"account_key":   string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
		"directory_url": c.gateway.DirectoryURL, "trusted_ca": c.gateway.TrustedCA,
	})
	return begin, func(t *testing.T) {
		answered(t, http.StatusOK, http.StatusConflict) // done by the first try, of which nobody heard
		c.usable(t, name)
	}
}

func (c clusterSite) rotation(t *testing.T) (func(context.Context) error, func(*testing.T)) {
	path := "config/acme-account/" + unique()
	c.insistOn(t, http.MethodPost, path, c.account())
	begin, answered := c.inBackground(http.MethodPost, path+"/rotate-key", nil)
	return begin, func(t *testing.T) {
		answered(t, http.StatusOK)
		if version := c.insistOn(t, http.MethodGet, path, nil)["active_key_version"]; version == float64(0) {
			t.Error("the account has its first key")
		}
		c.usable(t, path[len("config/acme-account/"):])
	}
}

func (c clusterSite) deletion(t *testing.T) (func(context.Context) error, func(*testing.T)) {
	path := "config/acme-account/" + unique()
	c.insistOn(t, http.MethodPost, path, c.account())
	begin, answered := c.inBackground(http.MethodDelete, path, nil)
	return begin, func(t *testing.T) {
		answered(t, http.StatusNoContent, http.StatusNotFound)
		if a, err := c.insist(t.Context(), http.MethodGet, path, nil); err != nil || a.Status != http.StatusNotFound {
			t.Errorf("the account is still there: status %d, error %v", a.Status, err)
		}
	}
}

// inBackground makes a request that goes on until it has an answer; answered waits for that, and demands one of the
// statuses.
func (c clusterSite) inBackground(method, path string, body any) (begin func(context.Context) error, answered func(*testing.T, ...int)) {
	type outcome struct {
		answer answer
		err    error
	}
	done := make(chan outcome, 1)
	begin = func(ctx context.Context) error {
		go func() {
			a, err := c.insist(ctx, method, path, body)
			done <- outcome{a, err}
		}()
		return nil
	}
	return begin, func(t *testing.T, want ...int) {
		t.Helper()
		got := <-done
		if got.err == nil {
			got.err = got.answer.failure(want...)
		}
		if got.err != nil {
			t.Errorf("%s %s: %v", method, path, got.err)
		}
	}
}

// usable demands that a certificate can be had with an account.
func (c clusterSite) usable(t *testing.T, account string) {
	t.Helper()
	c.insistOn(t, http.MethodPost, "role/"+account, fields{
		"acme_account_name": account, "allowed_domains": "example.com", "allowed_domain_options": "subdomains",
	})
	j := c.manual()
	j.role = account
	j.take(t, (*journey).begin, (*journey).start, (*journey).finish)
	c.checkKeyed(t, j.cert, j.name)
}
