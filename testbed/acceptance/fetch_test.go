package acceptance

import (
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

func TestFetchCertFormats(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o, plain := shared.issue(t, role, domain)
	leaf := shared.verified(t, plain, domain)

	der := o.read(t, o.path()+"/fetch-cert?certificate_format=der")
	raw, err := base64.StdEncoding.DecodeString(der.text(t, "certificate"))
	if err != nil {
		t.Fatalf("der: %v", err)
	}
	if cert, err := x509.ParseCertificate(raw); err != nil || !cert.Equal(leaf) {
		t.Errorf("der holds another certificate, or none: %v", err)
	}
	bundle := o.read(t, o.path()+"/fetch-cert?certificate_format=pem_bundle").text(t, "certificate")
	want := append([]string{plain.text(t, "certificate")}, plain.texts(t, "ca_chain")...)
	for i := range want {
		want[i] = strings.TrimSpace(want[i])
	}
	if strings.TrimSpace(bundle) != strings.Join(want, "\n") {
		t.Errorf("pem_bundle is not the leaf and the chain:\n%s", bundle)
	}
	o.call(t, "GET", o.path()+"/fetch-cert?certificate_format=pkcs12", nil).expect(t, 400, "certificate_format", "pem_bundle")
}

func TestFetchCertNamesTheIssuer(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	_, cert := shared.issue(t, role, domain)
	issuer, err := testbed.ParseCertificate(cert.text(t, "issuing_ca"))
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.verified(t, cert, domain).CheckSignatureFrom(issuer); err != nil {
		t.Errorf("issuing_ca did not sign the certificate: %v", err)
	}
	// Vault Agent takes any PEM block of the answer for the certificate or its key.
	for name, value := range cert {
		if text, ok := value.(string); ok && strings.Contains(text, "-----BEGIN") &&
			name != "certificate" && name != "private_key" && name != "issuing_ca" {
			t.Errorf("%s holds a PEM block", name)
		}
	}
}

func TestFetchCertBeforeCompletion(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o := shared.newOrder(t, role, fields{"identifiers": []string{domain}})
	o.await(t, stateAwaiting)
	o.call(t, "GET", o.path()+"/fetch-cert", nil).expect(t, 409, stateAwaiting)
}

func TestRoleChoosesKeyAndCommonName(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, fields{"csr_generate_key_type": "rsa-2048", "csr_identifier_population": "sans_only"})
	_, cert := shared.issue(t, role, domain)
	if got := cert.text(t, "private_key_type"); got != "RSA" {
		t.Errorf("private_key_type is %q, want RSA", got)
	}
	if !strings.Contains(cert.text(t, "private_key"), "-----BEGIN RSA PRIVATE KEY-----") {
		t.Error("the private key is not in PKCS #1 form")
	}
}

func TestCached(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	a, b := "a."+domain, "b."+domain
	_, issued := shared.issue(t, role, a, b)
	other, _ := shared.newRole(t, nil)
	both := a + "," + b
	for _, row := range []struct {
		why    string
		role   string
		query  url.Values
		status int
		words  []string
	}{
		{"any valid certificate will do", role, url.Values{"identifiers": {both}}, 200, nil},
		{"order and case of names do not matter", role, url.Values{"identifiers": {strings.ToUpper(b) + "," + a}}, 200, nil},
		{"enough time left", role, url.Values{"identifiers": {both}, "min_validity_duration": {"24h"}}, 200, nil},
		{"a number is seconds", role, url.Values{"identifiers": {both}, "min_validity_duration": {"3600"}}, 200, nil},
		{"not enough time left", role, url.Values{"identifiers": {both}, "min_validity_duration": {"1000000h"}}, 404, nil},
		{"enough of its life left", role, url.Values{"identifiers": {both}, "min_validity_percentage": {"50"}}, 200, nil},
		{"its life has begun", role, url.Values{"identifiers": {both}, "min_validity_percentage": {"100"}}, 404, nil},
		{"a part of the names is another certificate", role, url.Values{"identifiers": {a}}, 404, nil},
		{"another role does not allow the name", other, url.Values{"identifiers": {a}}, 403, []string{a}},
		{"two limits contradict", role, url.Values{
			"identifiers": {both}, "min_validity_duration": {"1h"}, "min_validity_percentage": {"1"},
		}, 400, []string{"min_validity_duration", "min_validity_percentage"}},
		{"no percentage", role, url.Values{"identifiers": {both}, "min_validity_percentage": {"101"}}, 400, []string{"min_validity_percentage"}},
		{"negative", role, url.Values{"identifiers": {both}, "min_validity_percentage": {"-1"}}, 400, []string{"min_validity_percentage"}},
		{"no duration", role, url.Values{"identifiers": {both}, "min_validity_duration": {"soon"}}, 400, []string{"min_validity_duration"}},
		{"negative", role, url.Values{"identifiers": {both}, "min_validity_duration": {"-1h"}}, 400, []string{"min_validity_duration"}},
		{"no names", role, nil, 400, []string{"identifiers"}},
		{"unknown format", role, url.Values{"identifiers": {both}, "certificate_format": {"jks"}}, 400, []string{"certificate_format"}},
		{"no such role", unique(), url.Values{"identifiers": {both}}, 404, nil},
	} {
		t.Run(row.why, func(t *testing.T) {
			got := shared.call(t, "GET", "role/"+row.role+"/cached?"+row.query.Encode(), nil)
			got.expect(t, row.status, row.words...)
			if row.status == 200 && got.Status == 200 && got.Data["serial_number"] != issued["serial_number"] {
				t.Errorf("serial_number is %v, want %v", got.Data["serial_number"], issued["serial_number"])
			}
		})
	}
}
