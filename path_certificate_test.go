package pkiexternalca

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// withPebble mounts the engine with the account "ca" at a CA that believes every
// challenge, and the role "web".
func withPebble(t testing.TB, role fields) (*mount, *acmetest.TestCA) {
	t.Helper()
	ca := &acmetest.TestCA{PebbleServer: acmetest.Pebble(t, acmetest.AlwaysValid(), acmetest.ChainLength(2))}
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(role)
	return m, ca
}

// colonHex writes bytes as Vault writes serial numbers.
func colonHex(raw []byte) string {
	parts := make([]string, len(raw))
	for i, b := range raw {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}

// TestFetchCert holds every field of the answer, in every format.
func TestFetchCert(t *testing.T) {
	t.Parallel()
	m, ca := withPebble(t, nil)
	id, got := m.obtain(fields{"identifiers": "www.example.com"})
	path := "role/web/order/" + id + "/fetch-cert"
	leaf := verified(t, ca, got)
	want := fields{
		"certificate_format": "pem", "private_key_type": "EC",
		"serial_number": colonHex(leaf.SerialNumber.Bytes()), "authority_key_id": colonHex(leaf.AuthorityKeyId),
		"not_before": leaf.NotBefore.UTC().Format(time.RFC3339), "not_after": leaf.NotAfter.UTC().Format(time.RFC3339),
		"expiration": leaf.NotAfter.Unix(),
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v (%T), want %v", name, got[name], got[name], value)
		}
	}
	for name := range got {
		known := slices.Contains([]string{"certificate", "ca_chain", "issuing_ca", "private_key"}, name) || want[name] != nil
		if !known {
			t.Errorf("the answer has %s too", name)
		}
	}
	chain := got["ca_chain"].([]string)
	if len(chain) == 0 || got["issuing_ca"] != chain[0] {
		t.Errorf("issuing_ca is not the first of the %d in ca_chain", len(chain))
	}

	certificate := got["certificate"].(string)
	bundle := m.read(path, fields{"certificate_format": "pem_bundle"})
	if bundle["certificate"] != certificate+strings.Join(chain, "") {
		t.Errorf("a bundle is %v", bundle["certificate"])
	}
	der := m.read(path, fields{"certificate_format": "der"})
	if der["certificate"] != inBase64(certificate) || der["ca_chain"].([]string)[0] != inBase64(chain[0]) || der["issuing_ca"] != inBase64(chain[0]) {
		t.Errorf("in DER the answer is %v", der)
	}
	for _, other := range []fields{bundle, der} {
		if other["private_key"] != got["private_key"] || other["serial_number"] != got["serial_number"] {
			t.Error("the format changed more than the certificates")
		}
	}
	m.refused(http.StatusBadRequest, logical.ReadOperation, path, fields{"certificate_format": "pkcs12"}, "certificate_format", "pkcs12", "pem_bundle")
}

// TestChainOfOne: a CA may leave its own certificate out. Lists stay lists.
func TestChainOfOne(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.On(acmetest.Certificate, func(w http.ResponseWriter, r *acmetest.Request) {
		whole := httptest.NewRecorder()
		ca.Default(whole, r)
		leaf, _ := pem.Decode(whole.Body.Bytes())
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(pem.EncodeToMemory(leaf))
	})
	id, got := m.obtain(fields{"identifiers": "www.example.com"})
	bundle := m.read("role/web/order/"+id+"/fetch-cert", fields{"certificate_format": "pem_bundle"})
	if asJSON(t, got["ca_chain"]) != "[]" || got["issuing_ca"] != "" || bundle["certificate"] != got["certificate"] {
		t.Errorf("without issuers the answer is %v", got)
	}
}

// inBase64 gives the DER of a PEM block.
func inBase64(text string) string {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(block.Bytes)
}

// TestKeyKindsOfCertificates: the key that comes with a certificate is its key,
// of the kind that the role wants, in the form that clients of Vault know.
func TestKeyKindsOfCertificates(t *testing.T) {
	t.Parallel()
	m, ca := withPebble(t, nil)
	for _, row := range []struct{ kind, family, label string }{
		{"ec-256", "EC", "EC PRIVATE KEY"},
		{"ec-384", "EC", "EC PRIVATE KEY"},
		{"ec-521", "EC", "EC PRIVATE KEY"},
		{"rsa-2048", "RSA", "RSA PRIVATE KEY"},
	} {
		t.Run(row.kind, func(t *testing.T) {
			m := m.in(t)
			m.write("role/web", fields{"csr_generate_key_type": row.kind})
			_, got := m.obtain(fields{"identifiers": row.kind + ".example.com"})
			text := got["private_key"].(string)
			key, err := keys.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if block, rest := pem.Decode([]byte(text)); block.Type != row.label || len(rest) > 0 {
				t.Errorf("the key is a %s", block.Type)
			}
			if kind := keys.KindOf(key.Public()); string(kind) != row.kind || got["private_key_type"] != row.family {
				t.Errorf("the key is %s, private_key_type %v", kind, got["private_key_type"])
			}
			if !keys.Same(key.Public(), verified(t, ca, got).PublicKey) {
				t.Error("the key is not the certificate's")
			}
		})
	}
}

// TestPopulation: a common name that cannot be one is left out, not refused.
func TestPopulation(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	long := strings.Repeat("a.", 30) + "example.com"
	for _, row := range []struct {
		reason, population, first, cn string
	}{
		{"the first name", "cn_first", "b.example.com", "b.example.com"},
		{"none", "sans_only", "b.example.com", ""},
		{"more than 64 characters (RFC 5280, ub-common-name)", "cn_first", long, ""},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := m.in(t)
			m.write("role/web", fields{"csr_identifier_population": row.population})
			m.obtain(fields{"identifiers": []string{row.first, "a.example.com"}})
			sent := ca.Requests(acmetest.Finalize)
			csr := finalized(t, sent[len(sent)-1])
			if csr.Subject.CommonName != row.cn || !slices.Equal(csr.DNSNames, []string{row.first, "a.example.com"}) {
				t.Errorf("the request has the common name %q and the names %q", csr.Subject.CommonName, csr.DNSNames)
			}
		})
	}
}

// TestFetchCertTooEarly names the state, the reason and when work goes on.
func TestFetchCertTooEarly(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.On(acmetest.NewOrder, acmetest.With("Retry-After", "3600", acmetest.Problem(http.StatusTooManyRequests, "urn:ietf:params:acme:error:rateLimited", "slow down")))
	id := m.order(fields{"identifiers": "www.example.com"})
	var status fields
	eventually(t, "the CA's answer to be seen", func() bool {
		status = m.read("role/web/order/"+id+"/status", nil)
		return status["last_error"] != ""
	})
	due := status["next_work_date"].(string)
	m.refused(http.StatusConflict, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, "is new", "slow down", due)
	if at, err := time.Parse(time.RFC3339, due); err != nil || time.Until(at) < 50*time.Minute {
		t.Errorf("next_work_date is %s, though the CA asked to wait an hour", due)
	}
}
