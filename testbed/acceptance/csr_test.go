package acceptance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"strings"
	"testing"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newCSR signs a request with key and returns it in PEM form.
func newCSR(t *testing.T, key crypto.Signer, request x509.CertificateRequest) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &request, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// csrFor is a request for these names and nothing else.
func csrFor(names ...string) x509.CertificateRequest { return x509.CertificateRequest{DNSNames: names} }

func TestCSRWorkflow(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	names := []string{"www." + domain, "api." + domain}
	key := newKey(t)
	request := newCSR(t, key, x509.CertificateRequest{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names})
	if err := os.WriteFile(shared.file(role+".csr"), []byte(request), 0o600); err != nil {
		t.Fatal(err)
	}
	id := shared.vault(t, "write", "-field=order_id", mount+"/role/"+role+"/new-order", "csr=@"+role+".csr")
	o := order{shared, role, id}
	cert := o.complete(t)

	leaf := shared.verified(t, cert, names...)
	if !key.PublicKey.Equal(leaf.PublicKey) {
		t.Error("the certificate is not for the key that signed the request")
	}
	for _, name := range []string{"private_key", "private_key_type"} {
		if value, there := cert[name]; there && value != "" {
			t.Errorf("%s is %q, for a key that Vault never had", name, value)
		}
	}
	if got := o.status(t).text(t, "csr"); strings.TrimSpace(got) != strings.TrimSpace(request) {
		t.Errorf("status shows the request as %q", got)
	}
	cached := shared.call(t, "GET", "role/"+role+"/cached?identifiers="+strings.Join(names, ","), nil)
	cached.expect(t, 404)
}

func TestCSRWithCommonNameAlone(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	request := newCSR(t, newKey(t), x509.CertificateRequest{Subject: pkix.Name{CommonName: "www." + domain}, DNSNames: []string{domain}})
	o := shared.newOrder(t, role, fields{"csr": request})
	got := o.await(t, stateAwaiting).texts(t, "identifiers")
	if len(got) != 2 {
		t.Errorf("identifiers are %q, want the common name beside the alternative name", got)
	}
}
