package acmeclient_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// certified gets a fake CA to the point where there is a certificate.
func certified(t testing.TB) (*acmetest.ScriptServer, *acmeclient.Client, string) {
	t.Helper()
	ca, client := scripted(t)
	ca.PreAuthorize()
	placed, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	order, err := client.Finalize(t.Context(), placed.Finalize, csr(t, key(t, keys.EC256), dnsNames("x.example.com")))
	if err != nil {
		t.Fatal(err)
	}
	return ca, client, order.Certificate
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	ca, client, url := certified(t)
	for range 2 { // it can be repeated
		chain, err := client.Certificate(t.Context(), url)
		if err != nil || len(chain.Certificates) != 2 {
			t.Fatalf("%d certificates, %v", len(chain.Certificates), err)
		}
		verify(t, ca.Roots, chain.Certificates, "x.example.com")
	}
	if got := ca.Requests(acmetest.Certificate)[0].Header.Get("Accept"); got != "application/pem-certificate-chain" {
		t.Errorf("asked for %q", got)
	}
}

func TestAlternateLinks(t *testing.T) {
	t.Parallel()
	ca, client, url := certified(t)
	base := strings.TrimSuffix(ca.DirectoryURL, "/directory")
	ca.On(acmetest.Certificate, ca.Edit(func(_ map[string]any, h http.Header) {
		h["Link"] = []string{`<` + base + `/directory>;rel="index"`, `</certificate/1/2>;rel="alternate", <http://ca.example/>;rel="alternate"`, `<3>;rel="alternate"`}
	}))
	chain, err := client.Certificate(t.Context(), url)
	if want := []string{base + "/certificate/1/2", base + "/certificate/3"}; err != nil || !slices.Equal(chain.Alternates, want) {
		t.Errorf("got %q, want %q; %v", chain.Alternates, want, err)
	}
}

func TestNoCertificate(t *testing.T) {
	t.Parallel()
	block := func(kind string) string {
		return "-----BEGIN " + kind + "-----\nAAAA\n-----END " + kind + "-----\n"
	}
	for name, test := range map[string]struct{ body, want string }{
		"a page":                     {"<h1>Hello</h1>", "there is no PEM certificate in it"},
		"nothing":                    {"", "there is no PEM certificate in it"},
		"a key among them":           {block("CERTIFICATE") + block("RSA PRIVATE KEY"), `there is a "RSA PRIVATE KEY" in it`},
		"a certificate of old times": {block("X509 CERTIFICATE"), `there is a "X509 CERTIFICATE" in it`},
		"more than anybody needs":    {strings.Repeat(block("CERTIFICATE"), 11), "it has more than 10 certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, client, url := certified(t)
			ca.On(acmetest.Certificate, acmetest.HTML(200, test.body))
			_, err := client.Certificate(t.Context(), url)
			wantUnreachable(t, err, "downloading the certificate "+url)
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRevokeMessage(t *testing.T) {
	t.Parallel()
	ca, client, url := certified(t)
	chain, err := client.Certificate(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for reason, says := range map[int]string{0: `"}`, 1: `","reason":1}`, -1: `"}`} {
		_ = client.Revoke(t.Context(), chain.Certificates[0], reason) // refused from the second time on
		requests := ca.Requests(acmetest.RevokeCert)
		if got := string(requests[len(requests)-1].Payload); !strings.HasSuffix(got, says) {
			t.Errorf("reason %d: sent …%s, want …%s (unspecified is not said, RFC 5280 §5.3.1)", reason, got[len(got)-20:], says)
		}
	}
	if !ca.Revoked(verify(t, ca.Roots, chain.Certificates)) {
		t.Error("it is not revoked")
	}
}
