package order

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

func TestParseCSRGivesEveryName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 52) + ".example.com" // 64 characters
	both := &x509.CertificateRequest{DNSNames: []string{"www.example.com", "example.com"}}
	for _, test := range []struct {
		text   string
		want   []string
		reason string
	}{
		{request(t, both), []string{"www.example.com", "example.com"}, "in the order of the request"},
		{request(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "www.example.com"}}), []string{"www.example.com"}, "a common name alone is a name"},
		{
			request(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "WWW.example.com"}, DNSNames: []string{"www.EXAMPLE.com"}}),
			[]string{"www.EXAMPLE.com"},
			"a common name that is among the others counts once, whatever its case",
		},
		{
			request(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"www.example.com"}}),
			[]string{"www.example.com", "example.com"},
			"a common name that is not among the others is to be allowed too",
		},
		{
			request(t, &x509.CertificateRequest{RawSubject: subject(t, "one.example.com", "two.example.com")}),
			[]string{"one.example.com", "two.example.com"},
			"no common name hides behind another",
		},
		{request(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: long}}), []string{long}, "64 characters are allowed"},
		{request(t, &x509.CertificateRequest{DNSNames: []string{"*.example.com"}}), []string{"*.example.com"}, "a wildcard"},
		{strings.ReplaceAll(request(t, both), "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"), []string{"www.example.com", "example.com"}, "an older label"},
		{"Certificate Request:\n    Data:\n" + request(t, both), []string{"www.example.com", "example.com"}, "openssl req -text writes before the block"},
		{request(t, both) + "\n \r\n", []string{"www.example.com", "example.com"}, "space behind"},
		{requestWith(t, both, newRSAKey(t)), []string{"www.example.com", "example.com"}, "RSA 2048"},
	} {
		csr, err := ParseCSR(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.reason, err)
			continue
		}
		block, _ := pem.Decode([]byte(test.text))
		if !slices.Equal(csr.Names, test.want) || !bytes.Equal(csr.DER, block.Bytes) || csr.PublicKey == nil {
			t.Errorf("%s: got %v, want %v", test.reason, csr.Names, test.want)
		}
	}
}

func TestParseCSRGivesEveryAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		wish   *x509.CertificateRequest
		names  []string
		want   string
		reason string
	}{
		{&x509.CertificateRequest{IPAddresses: []net.IP{{192, 0, 2, 1}, net.ParseIP("2001:db8::1")}}, nil, "[192.0.2.1 2001:db8::1]", "addresses alone"},
		{&x509.CertificateRequest{DNSNames: []string{"192.0.2.1"}}, []string{"192.0.2.1"}, "[]", "a name that looks like an address is a name, for others to refuse"},
		{
			&x509.CertificateRequest{Subject: pkix.Name{CommonName: "2001:DB8:0::1"}, IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}},
			nil, "[2001:db8::1]", "a common name that is among the addresses counts once, however it is spelt",
		},
		{
			&x509.CertificateRequest{ExtraExtensions: []pkix.Extension{sanExtension(t, generalName{tag: 7, bytes: net.ParseIP("192.0.2.1").To16()})}},
			nil, "[::ffff:192.0.2.1]", "sixteen bytes stay sixteen bytes",
		},
	} {
		csr, err := ParseCSR(request(t, test.wish))
		if err != nil {
			t.Errorf("%s: %v", test.reason, err)
			continue
		}
		if got := fmt.Sprint(csr.Addresses); got != test.want || !slices.Equal(csr.Names, test.names) {
			t.Errorf("%s: got %s and %q, want %s and %q", test.reason, got, csr.Names, test.want, test.names)
		}
	}
}

func TestParseCSRTakesEveryKeyOfSufficientStrength(t *testing.T) {
	t.Parallel()
	template := &x509.CertificateRequest{DNSNames: []string{"www.example.com"}}
	for name, curve := range curves {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCSR(requestWith(t, template, key)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCSR(requestWith(t, template, key)); err != nil {
		t.Errorf("Ed25519: %v", err)
	}
}

func TestParseCSRRefuses(t *testing.T) {
	t.Parallel()
	named := &x509.CertificateRequest{DNSNames: []string{"www.example.com"}}
	good := request(t, named)
	uri, err := url.Parse("spiffe://example.com/workload")
	if err != nil {
		t.Fatal(err)
	}
	withSAN := func(names ...generalName) string {
		return request(t, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{sanExtension(t, names...)}})
	}
	otherName := marshal(t, struct{ ID, Value any }{oidCommonName, "www.example.com"})
	sha1 := requestWith(t, &x509.CertificateRequest{DNSNames: []string{"www.example.com"}, SignatureAlgorithm: x509.SHA1WithRSA}, newRSAKey(t))
	for _, test := range []struct {
		reason string
		text   string
		want   error // nil: any
	}{
		{"nothing", "", ErrNoCSR},
		{"no PEM", "www.example.com", ErrNoCSR},
		{"another kind of block", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})), ErrNoCSR},
		{"a private key before it", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})) + good, ErrNoCSR},
		{"two requests", good + good, ErrExtraText},
		{"a private key behind it", good + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})), ErrExtraText},
		{"garbage behind it", good + "garbage", ErrExtraText},
		{"text without end", strings.Repeat(" ", longestCSR) + good, ErrLongCSR},
		{"an empty block", pemRequest(nil), nil},
		{"no DER", pemRequest([]byte("garbage")), nil},
		{"garbage behind the DER", pemRequest(append(der(good), 0)), nil},
		{"DER cut short", pemRequest(der(good)[:100]), nil},
		{"somebody else's signature", broken(good), nil},
		{"SHA-1", sha1, ErrSignature},
		{"RSA 1024", anyRSA(t, 1024), ErrRSASize},
		{"RSA that takes minutes to check", anyRSA(t, 1<<17), ErrRSASize},
		{"no name", request(t, &x509.CertificateRequest{}), ErrNoNames},
		{"an organisation, no name", request(t, &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{"Example"}}}), ErrNoNames},
		{"an empty common name", request(t, &x509.CertificateRequest{RawSubject: subject(t, "")}), ErrNoNames},
		{"a common name of 65 characters", request(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("a", 53) + ".example.com"}}), ErrLongCN},
		{"a long common name before a short one", request(t, &x509.CertificateRequest{RawSubject: subject(t, strings.Repeat("a", 65), "www.example.com")}), ErrLongCN},
		{"a common name that is a number", request(t, &x509.CertificateRequest{RawSubject: subject(t, 7)}), ErrTextCN},
		{"an address as common name alone", request(t, &x509.CertificateRequest{DNSNames: []string{"www.example.com"}, Subject: pkix.Name{CommonName: "192.0.2.1"}}), ErrAddressCN},
		{"another address as common name", request(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "192.0.2.2"}, IPAddresses: []net.IP{{192, 0, 2, 1}}}), ErrAddressCN},
		{"an address of five bytes", withSAN(generalName{tag: 7, bytes: []byte{192, 0, 2, 1, 0}}), nil},
		{"an e-mail address", request(t, &x509.CertificateRequest{DNSNames: []string{"www.example.com"}, EmailAddresses: []string{"a@example.com"}}), ErrSANType},
		{"a URI", request(t, &x509.CertificateRequest{DNSNames: []string{"www.example.com"}, URIs: []*url.URL{uri}}), ErrSANType},
		{"an otherName", withSAN(dnsName("www.example.com"), generalName{tag: 0, compound: true, bytes: otherName}), ErrSANType},
		{"a directoryName", withSAN(dnsName("www.example.com"), generalName{tag: 4, compound: true, bytes: subject(t, "example.com")}), ErrSANType},
		{"a registeredID alone", withSAN(generalName{tag: 8, bytes: []byte{0x2a, 3}}), ErrSANType},
		{"a type that does not exist", withSAN(dnsName("www.example.com"), generalName{tag: 30, bytes: []byte{1}}), ErrSANType},
		{"names in two extensions", request(t, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{sanExtension(t, dnsName("a.example.com")), sanExtension(t, dnsName("b.example.com"))}}), nil},
		{"a name that is not ASCII", withSAN(dnsName("räksmörgås.se")), nil},
		{"names that are no list", request(t, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: oidSubjectAltName, Value: []byte{4, 1, 7}}}}), nil},
	} {
		csr, err := ParseCSR(test.text)
		if err == nil {
			t.Errorf("%s: accepted as %v", test.reason, csr.Names)
		} else if test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.reason, err, test.want)
		}
	}
}

func der(text string) []byte {
	block, _ := pem.Decode([]byte(text))
	return block.Bytes
}

// FuzzParseCSR holds that nothing breaks the reading of a CSR, and that what is
// accepted is a request that crypto/x509 accepts, with names to be checked.
func FuzzParseCSR(f *testing.F) {
	good := request(f, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"www.example.com"}})
	for _, seed := range []string{"", good, good + good, broken(good), anyRSA(f, 1024), request(f, &x509.CertificateRequest{RawSubject: subject(f, 7)})} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		csr, err := ParseCSR(text)
		if err != nil {
			return
		}
		parsed, err := x509.ParseCertificateRequest(csr.DER)
		if err != nil || parsed.CheckSignature() != nil || len(csr.Names)+len(csr.Addresses) == 0 || len(csr.Addresses) != len(parsed.IPAddresses) {
			t.Errorf("accepted %q", text)
		}
		for _, name := range parsed.DNSNames {
			if !slices.Contains(csr.Names, name) {
				t.Errorf("%q is passed over in %q", name, text)
			}
		}
	})
}

func TestMakeCSR(t *testing.T) {
	t.Parallel()
	name := func(value string) acme.Identifier { return acme.Identifier{Type: acme.DNS, Value: value} }
	address := acme.Identifier{Type: acme.IP, Value: "192.0.2.1"}
	long := strings.Repeat("a", 53) + ".example.com"
	for _, test := range []struct {
		ids    []acme.Identifier
		how    Population
		cn     string
		reason string
	}{
		{[]acme.Identifier{name("b.example.com"), name("a.example.com")}, CNFirst, "b.example.com", "the first is the common name"},
		{[]acme.Identifier{name("b.example.com"), name("a.example.com")}, SANsOnly, "", "no common name is wanted"},
		{[]acme.Identifier{name("*.example.com")}, CNFirst, "*.example.com", "a wildcard can be a common name"},
		{[]acme.Identifier{name(long), name("a.example.com")}, CNFirst, "", "too long a name is left out of the subject"},
		{[]acme.Identifier{address, name("a.example.com")}, CNFirst, "", "no CA takes an address as common name"},
	} {
		raw, err := MakeCSR(newKey(t), test.ids, test.how)
		if err != nil {
			t.Errorf("%s: %v", test.reason, err)
			continue
		}
		csr, err := x509.ParseCertificateRequest(raw)
		if err != nil {
			t.Fatal(err)
		}
		if csr.Subject.CommonName != test.cn || len(csr.DNSNames)+len(csr.IPAddresses) != len(test.ids) || csr.CheckSignature() != nil {
			t.Errorf("%s: common name %q, names %v, addresses %v", test.reason, csr.Subject.CommonName, csr.DNSNames, csr.IPAddresses)
		}
	}
	for reason, ids := range map[string][]acme.Identifier{
		"no identifier": nil, "no address": {{Type: acme.IP, Value: "example.com"}}, "not ASCII": {name("räksmörgås.se")},
	} {
		if _, err := MakeCSR(newKey(t), ids, CNFirst); err == nil {
			t.Errorf("%s: accepted", reason)
		}
	}
}

func TestKeyID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "garbage", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"} {
		if id, err := KeyID(text); err == nil {
			t.Errorf("%q has the key %s", text, id)
		}
	}
}
