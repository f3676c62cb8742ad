package acceptance

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestIdentifierWorkflow is the main job, typed as the documentation types it.
func TestIdentifierWorkflow(t *testing.T) {
	t.Parallel()
	role, domain := unique(), unique()+".example.com"
	www, api := "www."+domain, "api."+domain
	shared.vault(t, "write", mount+"/role/"+role, "acme_account_name=pebble",
		"allowed_domains="+domain+","+www+","+api, "allowed_domain_options=bare_domains")
	path := mount + "/role/" + role
	id := shared.vault(t, "write", "-field=order_id", path+"/new-order", "identifiers="+www+","+api)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("order_id is %q, not a UUIDv7", id)
	}
	o := order{shared, role, id}
	o.await(t, stateAwaiting)
	if got := shared.vault(t, "read", "-field=status", path+"/order/"+id+"/status"); got != "awaiting_challenge_fulfillment" {
		t.Errorf("status is %q, want the form with underscores", got)
	}
	for _, name := range []string{www, api} {
		challenge := func(field, spelling string) string {
			return shared.vault(t, "read", "-field="+field, path+"/order/"+id+"/"+spelling, "identifier="+name, "challenge_type=http-01")
		}
		token, auth := challenge("challenge_token", "challenge"), challenge("challenge_auth", "challenges")
		if !strings.HasPrefix(auth, token+".") {
			t.Errorf("challenge_auth %q does not begin with challenge_token %q", auth, token)
		}
		if err := shared.Web.Publish(token, auth); err != nil {
			t.Fatal(err)
		}
		shared.vault(t, "write", path+"/order/"+id+"/fulfilled-challenge", "identifier="+name, "challenge_type=http-01")
	}
	o.await(t, stateCompleted)
	var printed struct{ Data fields }
	text := shared.vault(t, "read", "-format=json", path+"/order/"+id+"/fetch-cert")
	if err := json.Unmarshal([]byte(text), &printed); err != nil {
		t.Fatal(err)
	}
	shared.checkKeyed(t, printed.Data, www, api)
}

// checkKeyed checks a certificate of the identifier workflow.
func (s site) checkKeyed(t *testing.T, cert fields, names ...string) {
	t.Helper()
	leaf := s.verified(t, cert, names...)
	if _, err := tls.X509KeyPair([]byte(cert.text(t, "certificate")), []byte(cert.text(t, "private_key"))); err != nil {
		t.Errorf("private_key: %v", err)
	}
	var serial []string
	for _, b := range leaf.SerialNumber.Bytes() {
		serial = append(serial, fmt.Sprintf("%02x", b))
	}
	want := fields{
		"private_key_type":   "EC",
		"certificate_format": "pem",
		"serial_number":      strings.Join(serial, ":"),
		"not_before":         leaf.NotBefore.UTC().Format(time.RFC3339),
		"not_after":          leaf.NotAfter.UTC().Format(time.RFC3339),
		"expiration":         float64(leaf.NotAfter.Unix()),
	}
	for name, value := range want {
		if cert[name] != value {
			t.Errorf("%s is %v (%T), want %v", name, cert[name], cert[name], value)
		}
	}
}

func TestStatusShowsTheWholeOrder(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o := shared.newOrder(t, role, fields{"identifiers": []string{"b." + domain, "a." + domain}})
	status := o.await(t, stateAwaiting)

	if got := status.texts(t, "identifiers"); len(got) != 2 || !slices.Contains(got, "a."+domain) {
		t.Errorf("identifiers are %q", got)
	}
	if got := status.text(t, "role_name"); got != role {
		t.Errorf("role_name is %q, want %q", got, role)
	}
	for _, name := range []string{"creation_date", "last_update", "expires", "next_work_date"} {
		if _, err := time.Parse(time.RFC3339, status.text(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	challenges := status.object(t, "challenges")
	for _, name := range []string{"a." + domain, "b." + domain} {
		checkChallenges(t, challenges, name)
	}
	o.complete(t)
	done := o.status(t)
	if got := done.text(t, "next_work_date"); got != "0001-01-01T00:00:00Z" {
		t.Errorf("next_work_date of a completed order is %q, want the zero time", got)
	}
	if done.text(t, "serial_number") == "" {
		t.Error("a completed order shows no serial_number")
	}
}

func checkChallenges(t *testing.T, challenges fields, name string) {
	t.Helper()
	list, ok := challenges[name].([]any)
	if !ok || len(list) == 0 {
		t.Errorf("challenges of %s are %v", name, challenges[name])
		return
	}
	for _, item := range list {
		challenge := fields(item.(map[string]any))
		if _, err := time.Parse(time.RFC3339, challenge.text(t, "expires")); err != nil {
			t.Errorf("expires: %v", err)
		}
		if challenge.text(t, "challenge_type") == "" || challenge.text(t, "challenge_status") != "pending" {
			t.Errorf("challenge of %s: %v", name, challenge)
		}
		if got := challenge.text(t, "requires_manual_fulfillment"); got != "true" {
			t.Errorf("requires_manual_fulfillment is %q, want the string true", got)
		}
	}
}

// TestChallengesAreAwaitedTogether holds that an order is not sent on half done.
func TestChallengesAreAwaitedTogether(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	first, second := "first."+domain, "second."+domain
	o := shared.newOrder(t, role, fields{"identifiers": []string{first, second}})
	o.await(t, stateAwaiting)
	o.fulfill(t, first)
	for range 5 {
		if got := o.status(t).text(t, "order_status"); got != stateAwaiting {
			t.Fatalf("with one of two challenges fulfilled the order is %s", got)
		}
	}
	o.fulfill(t, second)
	o.await(t, stateCompleted)
	shared.verified(t, o.read(t, o.path()+"/fetch-cert"), first, second)
}

func TestDNSChallengeNamesItsRecord(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, fields{"allowed_domain_options": "subdomains,wildcards"})
	star := "*.w." + domain
	o := shared.newOrder(t, role, fields{"identifiers": []string{star}})
	status := o.await(t, stateAwaiting)
	if _, there := status.object(t, "challenges")[star]; !there {
		t.Errorf("challenges lack the key %q as requested: %v", star, status["challenges"])
	}
	c := o.challenge(t, star, "dns-01")
	name, value := c.text(t, "dns_record_name"), c.text(t, "dns_record_value")
	if want := "_acme-challenge.w." + domain; strings.TrimSuffix(name, ".") != want {
		t.Errorf("dns_record_name is %q, want %q", name, want)
	}
	if err := shared.DNS.SetTXT(t.Context(), strings.TrimSuffix(name, ".")+".", value); err != nil {
		t.Fatal(err)
	}
	o.write(t, o.path()+"/fulfilled-challenge", fields{"identifier": star, "challenge_type": "dns-01"})
	o.await(t, stateCompleted)
	shared.verified(t, o.read(t, o.path()+"/fetch-cert"), star)
}

// TestSameNamesTwiceAtOnce is what several instances of one application do. Each gets what it can use.
func TestSameNamesTwiceAtOnce(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	a, b := "a."+domain, "b."+domain
	first := shared.newOrder(t, role, fields{"identifiers": []string{a, b}})
	second := shared.newOrder(t, role, fields{"identifiers": []string{strings.ToUpper(b), a + "."}})
	shared.checkKeyed(t, first.complete(t), a, b)
	if second.id != first.id {
		shared.checkKeyed(t, second.complete(t), a, b)
	}
}

func TestFailedValidationSaysWhy(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	name := "nothing-served." + domain
	o := shared.newOrder(t, role, fields{"identifiers": []string{name}})
	o.await(t, stateAwaiting)
	o.write(t, o.path()+"/fulfilled-challenge", fields{"identifier": name, "challenge_type": "http-01"})
	said := o.await(t, stateError).text(t, "last_error")
	for _, want := range []string{name, "urn:ietf:params:acme:error:unauthorized"} {
		if !strings.Contains(said, want) {
			t.Errorf("last_error lacks %q: %s", want, said)
		}
	}
	shared.call(t, "GET", o.path()+"/fetch-cert", nil).expect(t, 409, stateError, name)
}
