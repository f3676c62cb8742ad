package acceptance

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// What Vault Agent does with answers decides what the answers have to be. Each test here holds one thing that it
// does, with the agent of the Vault that is tested with.

// bundle is the template of a certificate by pkiCert, with more fields of the request.
func bundle(role, name string, more ...string) string {
	args := fmt.Sprintf("%q %q", mount+"/role/"+role+"/issue", "identifiers="+name)
	for _, field := range more {
		args += fmt.Sprintf(" %q", field)
	}
	return "{{ with pkiCert " + args + " }}{{ .Cert }}{{ range .CAChain }}{{ . }}{{ end }}{{ .Key }}{{ end }}"
}

// secret is a template that shows a field of the answer of issue.
func secret(role, name, show string, more ...string) string {
	args := fmt.Sprintf("%q %q", mount+"/role/"+role+"/issue", "identifiers="+name)
	for _, field := range more {
		args += fmt.Sprintf(" %q", field)
	}
	return "{{ with secret " + args + " }}" + show + "{{ end }}"
}

func TestAgent(t *testing.T) {
	t.Parallel()
	names := []string{"a.example.com", "b.example.com", "held.example.com", "restart.example.com"}
	s := newAgentSite(t, testbed.PebbleOptions{}, names...)
	s.write(t, "role/web", fields{
		"acme_account_name": "pebble", "allowed_domains": "example.com", "allowed_domain_options": "subdomains",
	})
	for _, name := range names[:2] {
		s.write(t, "role/web/issue", fields{"identifiers": name})
	}
	for name, test := range map[string]func(*testing.T, agentSite){
		"a read is refused":                agentReads,
		"reads of one path are one":        agentReadsOnce,
		"writes of one path are several":   agentWritesApart,
		"pkiCert once in a template":       agentMixesCertificates,
		"the end is a number":              agentKnowsTheEnd,
		"there is one leaf in all strings": agentFindsTheLeaf,
		"what is refused is not rendered":  agentWaitsForPeople,
		"what is not ready is tried again": agentWaitsForTheCA,
		"a new token makes no new order":   agentRestarts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// agentReads: a template without fields makes a GET, and so does one with the fields in a query. The agent tells the
// two apart by nothing but the path, so issue takes neither; the message says what to write.
func agentReads(t *testing.T, s agentSite) {
	for _, path := range []string{"issue", "issue?identifiers=a.example.com"} {
		r := s.render(t, map[string]string{"out": `{{ with secret "pki-external-ca/role/web/` + path + `" }}{{ .Data.certificate }}{{ end }}`}, nil)
		r.says(t, "issue may make an order, so it takes no GET", 1)
		r.absent(t, "out")
	}
}

// agentReadsOnce: reads of cached for two sets of identifiers are one to the agent, and what it gets for the one it
// renders for the other. That is why documents advise issue, with fields.
func agentReadsOnce(t *testing.T, s agentSite) {
	read := func(name string) string {
		return `{{ with secret "pki-external-ca/role/web/cached?identifiers=` + name + `" }}{{ .Data.serial_number }}{{ end }}`
	}
	r := s.render(t, map[string]string{"a": read("a.example.com"), "b": read("b.example.com")}, nil)
	if a, b := r.rendered(t, "a"), r.rendered(t, "b"); a != b {
		t.Errorf("the agent renders %s and %s: it has learnt to tell reads apart, and the documents may say so", a, b)
	}
}

// agentWritesApart: the fields of a write are part of what the agent knows it by.
func agentWritesApart(t *testing.T, s agentSite) {
	const show = "{{ .Data.certificate }}"
	r := s.render(t, map[string]string{"a": secret("web", "a.example.com", show), "b": secret("web", "b.example.com", show)}, nil)
	for file, name := range map[string]string{"a": "a.example.com", "b": "b.example.com"} {
		leaf, err := testbed.ParseCertificate(r.rendered(t, file))
		if err != nil || leaf.VerifyHostname(name) != nil {
			t.Errorf("the file of %s holds a certificate for %v (%v)", name, leaf.DNSNames, err)
		}
	}
}

// agentMixesCertificates: pkiCert is known by the path and the file, so two in a template are one, whatever they ask
// for. In templates of their own they are two.
func agentMixesCertificates(t *testing.T, s agentSite) {
	a, b := bundle("web", "a.example.com"), bundle("web", "b.example.com")
	r := s.render(t, map[string]string{"both": a + b, "a": a, "b": b}, nil)
	both, err := certificates(r.rendered(t, "both"))
	if err != nil || len(both) != 4 || !both[0].Equal(both[2]) {
		t.Errorf("two pkiCert in a template give %d certificates (%v), want one and its chain, twice", len(both), err)
	}
	first, second := r.rendered(t, "a"), r.rendered(t, "b")
	if first == second {
		t.Error("two templates with pkiCert render one certificate")
	}
}

// agentKnowsTheEnd: by expiration it knows when to ask again. Were that no number, it would crash.
func agentKnowsTheEnd(t *testing.T, s agentSite) {
	r := s.render(t, map[string]string{
		"out": secret("web", "a.example.com", `{{ printf "%T" .Data.expiration }} {{ .Data.expiration }} {{ .LeaseDuration }}`),
	}, nil)
	cert := s.write(t, "role/web/issue", fields{"identifiers": "a.example.com"})
	want := fmt.Sprintf("json.Number %.0f 0", cert["expiration"])
	if got := r.rendered(t, "out"); got != want {
		t.Errorf("the agent sees %q, want %q", got, want)
	}
	r.says(t, "Found certificate and set lease duration to", 1)
}

// agentFindsTheLeaf: pkiCert puts all strings of the answer together, in any order, and takes the last certificate
// that is no CA's. So there must be one only, in every format.
func agentFindsTheLeaf(t *testing.T, s agentSite) {
	for _, format := range []string{"pem", "pem_bundle"} {
		cert := s.write(t, "role/web/issue", fields{"identifiers": "a.example.com", "certificate_format": format})
		text, err := json.Marshal(cert)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "PRIVATE KEY-----\\n"); n != 2 { // its begin and its end
			t.Errorf("%s: %d lines of the answer begin or end a key, want 2", format, n)
		}
		r := s.render(t, map[string]string{"out": bundle("web", "a.example.com", "certificate_format="+format)}, nil)
		out := r.rendered(t, "out")
		if _, err := tls.X509KeyPair([]byte(out), []byte(out)); err != nil {
			t.Errorf("%s: certificate and key do not belong together: %v", format, err)
		}
		chain, err := certificates(out)
		if err != nil || len(chain) != 2 || chain[0].IsCA || !chain[1].IsCA {
			t.Errorf("%s: there are %d certificates (%v), want the leaf and the one above it", format, len(chain), err)
		}
	}
}

// agentWaitsForPeople: any 2xx is an answer to the agent, so an order that waits for somebody is answered with 409,
// and rendered when it is completed. The agent comes back by itself.
func agentWaitsForPeople(t *testing.T, s agentSite) {
	role, domain := s.newRole(t, nil)
	r := s.render(t, map[string]string{"out": bundle(role, domain)}, nil)
	r.says(t, "Code: 409", 1)
	r.says(t, "fulfilled-challenge", 1)
	r.absent(t, "out")
	ids := s.must(t, "LIST", "role/"+role+"/active-orders", nil).texts(t, "keys")
	order{s.site, role, ids[0]}.complete(t)
	r.rendered(t, "out")
	if n := s.certified(domain); n != 1 {
		t.Errorf("the CA was asked for %d certificates, want 1", n)
	}
}

// agentWaitsForTheCA: an order that takes long is answered with 503, which the agent tries again.
func agentWaitsForTheCA(t *testing.T, s agentSite) {
	s.gateway.Detain(testbed.PathFinalize)
	t.Cleanup(s.gateway.Release)
	r := s.render(t, map[string]string{"out": bundle("web", "held.example.com", "wait=0")}, nil)
	r.says(t, "Code: 503", 2)
	r.absent(t, "out")
	s.gateway.Release()
	r.rendered(t, "out")
	if n := s.certified("held.example.com"); n != 1 {
		t.Errorf("the CA was asked for %d certificates, want 1", n)
	}
}

// agentRestarts: with each new token the agent asks anew for all that it has. What is there already is no reason for
// an order.
func agentRestarts(t *testing.T, s agentSite) {
	const name = "restart.example.com"
	s.vault(t, "auth", "enable", "approle")
	s.vault(t, "write", "auth/approle/role/short", "token_policies=agent", "token_ttl=3s", "token_max_ttl=3s")
	login := t.TempDir()
	for file, id := range map[string]string{
		"role": s.vault(t, "read", "-field=role_id", "auth/approle/role/short/role-id"),
		"key":  s.vault(t, "write", "-f", "-field=secret_id", "auth/approle/role/short/secret-id"),
	} {
		writeFile(t, login, file, id)
	}
	r := s.render(t, map[string]string{
		"bundle": bundle("web", name),
		"secret": secret("web", name, "{{ .Data.serial_number }}"),
	}, fields{"auto_auth": fields{"method": []any{fields{"type": "approle", "config": fields{
		"role_id_file_path": login + "/role", "secret_id_file_path": login + "/key", "remove_secret_id_file_after_reading": false,
	}}}}})
	r.rendered(t, "bundle")
	r.rendered(t, "secret")
	r.says(t, "template server received new token", 3)
	r.says(t, "lease duration to", 3)
	if n := s.certified(name); n != 1 {
		t.Errorf("the CA was asked for %d certificates, want 1", n)
	}
}
