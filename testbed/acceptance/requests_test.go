package acceptance

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// refusal is a request that must not succeed.
type refusal struct {
	why    string
	method string
	path   string
	body   any
	status int
	words  []string // what the message must name
}

// refuse makes each request and checks that it was refused as it should be, and that the mount lives on.
func refuse(t *testing.T, rows []refusal) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.why, func(t *testing.T) {
			shared.call(t, row.method, row.path, row.body).expect(t, row.status, row.words...)
		})
	}
	shared.read(t, "config/acme-account/pebble")
}

// post is a refusal of a write.
func post(why, path string, body fields, status int, words ...string) refusal {
	return refusal{why, http.MethodPost, path, body, status, words}
}

// get is a refusal of a read.
func get(why, path string, status int, words ...string) refusal {
	return refusal{why, http.MethodGet, path, nil, status, words}
}

func TestRefusedAccounts(t *testing.T) {
	t.Parallel()
	name := unique()
	path := "config/acme-account/" + name
	with := func(field string, value any) fields { return accountBody(shared, fields{field: value}) }
	without := func(field string) fields {
		body := accountBody(shared, nil)
		delete(body, field)
		return body
	}
	refuse(t, []refusal{
		post("no directory", path, without("directory_url"), 400, "directory_url"),
		post("no contact", path, without("email_contacts"), 400, "email_contacts"),
		post("empty contact", path, with("email_contacts", ""), 400, "email_contacts"),
		post("not an address", path, with("email_contacts", "admin"), 400, "email_contacts"),
		post("an address with a line break", path, with("email_contacts", []string{"a@example.com\nb@example.com"}), 400, "email_contacts"),
		post("contacts of a wrong type", path, with("email_contacts", fields{"a": 1}), 400, "email_contacts"),
		post("key too small", path, with("key_type", "rsa-1024"), 400, "key_type", "ec-256", "rsa-8192"),
		post("key type of a wrong type", path, with("key_type", []string{"ec-256", "rsa-2048"}), 400, "key_type"),
		post("trusted_ca is no PEM", path, with("trusted_ca", "trust me"), 400, "trusted_ca"),
		post("trusted_ca is a key", path, with("trusted_ca", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 400, "trusted_ca"),
		post("EAB key without its id", path, with("eab_key", "c2VjcmV0"), 400, "eab_kid"),
		post("EAB id without its key", path, with("eab_kid", "kid-1"), 400, "eab_key"),
		post("EAB key is not base64", path, accountBody(shared, fields{"eab_kid": "k", "eab_key": "%%%"}), 400, "eab_key"),
		post("import without a key", path+"/import", without("email_contacts"), 400, "account_key"),
		post("import of no PEM", path+"/import", with("account_key", "key"), 400, "account_key"),
		post("rotation of no account", path+"/rotate-key", nil, 404),
		post("rotation to no key", "config/acme-account/pebble/rotate-key", fields{"key_type": "dsa"}, 400, "key_type"),
		get("no such account", path, 404),
	})
	shared.call(t, http.MethodGet, path, nil).expect(t, 404) // nothing was stored by any of them
}

func TestRefusedDirectories(t *testing.T) {
	t.Parallel()
	notACME := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(notACME.Close)
	notJSON := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `<html>not found</html>`)
	}))
	t.Cleanup(notJSON.Close)
	closed, err := testbed.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	path := "config/acme-account/" + unique()
	directory := func(url, ca string) fields {
		return accountBody(shared, fields{"directory_url": url, "trusted_ca": ca})
	}
	refuse(t, []refusal{
		post("not over TLS", path, directory("http://127.0.0.1/dir", ""), 400, "directory_url", "https"),
		post("not a URL", path, directory("dir", ""), 400, "directory_url"),
		post("no host", path, directory("https:///dir", ""), 400, "directory_url"),
		post("another scheme", path, directory("file:///etc/passwd", ""), 400, "directory_url"),
		post("nobody listens", path, directory("https://"+testbed.Loopback(closed)+"/dir", ""), 400, "directory_url", testbed.Loopback(closed)),
		post("no such host", path, directory("https://nowhere.invalid/dir", ""), 400, "directory_url", "nowhere.invalid"),
		post("not trusted", path, directory(shared.Pebble.DirectoryURL, ""), 400, "directory_url", "certificate"),
		post("nothing there", path, directory(notACME.URL, serverCA(notACME)), 400, "directory_url"),
		post("no directory", path, directory(notJSON.URL, serverCA(notJSON)), 400, "directory_url"),
		post("import is no different", path+"/import", directory("http://127.0.0.1/dir", ""), 400, "directory_url"),
	})
	shared.call(t, http.MethodGet, path, nil).expect(t, 404)
}

func serverCA(s *httptest.Server) string {
	return fmt.Sprintf("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n",
		base64.StdEncoding.EncodeToString(s.Certificate().Raw))
}

func TestRefusedRoles(t *testing.T) {
	t.Parallel()
	path := "role/" + unique()
	with := func(field string, value any) fields { return fields{"acme_account_name": "pebble", field: value} }
	refuse(t, []refusal{
		post("no account", path, fields{"allowed_domains": "example.com"}, 400, "acme_account_name"),
		post("unknown account", path, fields{"acme_account_name": "nobody"}, 400, "acme_account_name", "nobody"),
		post("unknown option", path, with("allowed_domain_options", "everything"), 400, "allowed_domain_options", "bare_domains", "globs"),
		post("unknown challenge", path, with("allowed_challenge_types", "smtp-01"), 400, "allowed_challenge_types", "http-01"),
		post("unknown key type", path, with("csr_generate_key_type", "rsa-1"), 400, "csr_generate_key_type", "rsa-2048"),
		post("unknown population", path, with("csr_identifier_population", "all"), 400, "csr_identifier_population", "sans_only"),
		post("domains of a wrong type", path, with("allowed_domains", fields{"a": 1}), 400, "allowed_domains"),
		post("a template that cannot be parsed", path, with("allowed_domains", "{{identity.entity.name"), 400, "allowed_domains"),
		get("no such role", path, 404),
	})
	shared.call(t, http.MethodGet, path, nil).expect(t, 404)
}

func TestRefusedNames(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, fields{"allowed_challenge_types": "http-01", "allowed_domain_options": "bare_domains,subdomains,wildcards"})
	path := "role/" + role + "/new-order"
	names := func(names ...string) fields { return fields{"identifiers": names} }
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("n%d.%s", i, domain)
	}
	refuse(t, []refusal{
		post("nothing", path, nil, 400, "identifiers", "csr"),
		post("both", path, fields{"identifiers": domain, "csr": "x"}, 400, "identifiers", "csr"),
		post("an empty list", path, names(), 400, "identifiers"),
		post("an empty name", path, names(""), 400, "identifiers"),
		post("an empty name among others", path, names(domain, ""), 400, "identifiers"),
		post("more than fit", path, names(many...), 400, "100"),
		post("every refused name is named", path, names("other.example.net", domain, "example.org"), 400, "other.example.net", "example.org"),
		post("names of a wrong type", path, fields{"identifiers": fields{"a": 1}}, 400, "identifiers"),
		post("a wildcard that http-01 cannot prove", path, names("*."+domain), 400, "dns-01"),
		post("a space", path, names("a b."+domain), 400, "a b."),
		post("a line break", path, names("a\n."+domain), 400),
		post("an empty label", path, names("a.."+domain), 400),
		post("a leading dot", path, names("."+domain), 400),
		post("a label too long", path, names(strings.Repeat("a", 64)+"."+domain), 400),
		post("a name too long", path, names(strings.Repeat("a.", 130)+domain), 400),
		post("two stars", path, names("*.*."+domain), 400),
		post("a star inside a label", path, names("a*."+domain), 400),
		post("a star in the middle", path, names("a.*."+domain), 400),
		post("an underscore", path, names("_acme-challenge."+domain), 400),
		post("a label that is no punycode", path, names("xn--a."+domain), 400),
		post("a zero-width joiner", path, names("a\u200db."+domain), 400),
		post("letters turned right to left", path, names("\u202ea."+domain), 400),
		post("a look-alike of the domain", path, names(strings.Replace(domain, "a", "\u0430", 1)), 400),
		post("a template", path, names("{{identity.entity.name}}."+domain), 400),
		post("a URL", path, names("https://"+domain+"/"), 400),
		post("a port", path, names(domain+":443"), 400),
		post("no such role", "role/"+unique()+"/new-order", names(domain), 404),
	})
	shared.call(t, "LIST", "role/"+role+"/active-orders", nil).expect(t, 404)
}

func TestNamesAreFolded(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o := shared.newOrder(t, role, fields{"identifiers": []string{
		"www." + domain, "WWW." + domain, "www." + domain + ".", "www\u3002" + domain, "\uff57ww." + domain,
	}})
	if got := o.await(t, stateAwaiting).texts(t, "identifiers"); len(got) != 1 {
		t.Errorf("five spellings of one name became %q", got)
	}
}

func TestRefusedCSRs(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	path := "role/" + role + "/new-order"
	key := newKey(t)
	csr := func(r x509.CertificateRequest) fields { return fields{"csr": newCSR(t, key, r)} }
	uri, err := url.Parse("https://" + domain + "/")
	if err != nil {
		t.Fatal(err)
	}
	good := newCSR(t, key, x509.CertificateRequest{DNSNames: []string{domain}})
	dns := []string{domain}
	refuse(t, []refusal{
		post("no PEM", path, fields{"csr": "x"}, 400, "csr"),
		post("another kind of PEM", path, fields{"csr": shared.Pebble.TrustedCA}, 400, "csr"),
		post("broken inside", path, fields{"csr": strings.Replace(good, "MI", "AA", 1)}, 400, "csr"),
		post("signed by nobody", path, fields{"csr": unsign(t, good)}, 400, "csr"),
		post("no name at all", path, csr(x509.CertificateRequest{}), 400, "csr"),
		post("an e-mail address", path, csr(x509.CertificateRequest{DNSNames: dns, EmailAddresses: []string{"a@" + domain}}), 400, "csr"),
		post("a URI", path, csr(x509.CertificateRequest{DNSNames: dns, URIs: []*url.URL{uri}}), 400, "csr"),
		post("an IP address", path, csr(x509.CertificateRequest{DNSNames: dns, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}), 400, "192.0.2.1", "allowed_ip_ranges"),
		post("a common name that is no name", path, csr(x509.CertificateRequest{DNSNames: dns, Subject: pkix.Name{CommonName: "My Server"}}), 400, "My Server"),
		post("a name that is not allowed", path, csr(x509.CertificateRequest{DNSNames: []string{domain, "example.org"}}), 400, "example.org"),
		post("a common name that is not allowed", path, csr(x509.CertificateRequest{DNSNames: dns, Subject: pkix.Name{CommonName: "example.org"}}), 400, "example.org"),
	})
}

// unsign changes the last byte of a request, which belongs to its signature.
func unsign(t *testing.T, csr string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(csr), "\n")
	body := lines[1 : len(lines)-1]
	der, err := base64.StdEncoding.DecodeString(strings.Join(body, ""))
	if err != nil {
		t.Fatal(err)
	}
	der[len(der)-1] ^= 1
	return lines[0] + "\n" + base64.StdEncoding.EncodeToString(der) + "\n" + lines[len(lines)-1] + "\n"
}

func TestRefusedStepsOfAnOrder(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, fields{"allowed_challenge_types": "http-01"})
	other, _ := shared.newRole(t, nil)
	o := shared.newOrder(t, role, fields{"identifiers": []string{domain}})
	o.await(t, stateAwaiting)
	nobody := "/order/0193d8e0-7c3a-7890-b123-456789abcdef"
	fulfilled := o.path() + "/fulfilled-challenge"
	rows := []refusal{
		get("no such order", "role/"+role+nobody+"/status", 404),
		get("not an order", "role/"+role+"/order/x/status", 404),
		get("an order of another role", "role/"+other+"/order/"+o.id+"/status", 404),
		get("no such order to look up", "lookup"+nobody, 404),
		get("challenge of no name", o.path()+"/challenge?challenge_type=http-01", 400, "identifier"),
		get("challenge of another name", o.path()+"/challenge?challenge_type=http-01&identifier=x.org", 400, "identifier", "x.org"),
		get("challenge of no type", o.path()+"/challenge?identifier="+domain, 400, "challenge_type"),
		get("challenge of an unknown type", o.path()+"/challenge?challenge_type=x&identifier="+domain, 400, "challenge_type"),
		post("fulfilled without a name", fulfilled, fields{"challenge_type": "http-01"}, 400, "identifier"),
		post("fulfilled without a type", fulfilled, fields{"identifier": domain}, 400, "challenge_type"),
		post("fulfilled another name", fulfilled, fields{"identifier": "x.org", "challenge_type": "http-01"}, 400, "x.org"),
		post("a type that the role forbids", fulfilled, fields{"identifier": domain, "challenge_type": "dns-01"}, 400, "challenge_type"),
		post("revocation without a certificate", o.path()+"/revoke", fields{"reason": "superseded"}, 409),
	}
	for _, step := range []string{"status", "challenge", "fetch-cert"} {
		rows = append(rows, get(step+" of no role", "role/"+unique()+nobody+"/"+step, 404))
	}
	refuse(t, rows)
	o.complete(t)
	refuse(t, []refusal{
		post("fulfilled in another way too late", fulfilled, fields{"identifier": domain, "challenge_type": "dns-01"}, 409, stateCompleted),
	})
}
