package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// renewalInfo suggests, for a certificate that was issued here, the time around
// two thirds of its life (RFC 9773 §4.2).
func (ca *fakeCA) renewalInfo(h http.Header, r *Request) Handler {
	o := ca.certified(r.ID)
	if o == nil {
		return Problem(http.StatusNotFound, acme.Malformed, "the certificate was not issued here")
	}
	leaf := o.leaf()
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	ideal := leaf.NotBefore.Add(life / 3 * 2)
	h.Set("Retry-After", "21600")
	return JSON(http.StatusOK, Suggestion(ideal.Add(-life/100), ideal.Add(life/100)))
}

// Suggestion is a RenewalInfo object, for handlers of [RenewalInfo].
func Suggestion(start, end time.Time) map[string]any {
	return map[string]any{"suggestedWindow": map[string]any{
		"start": start.UTC().Format(time.RFC3339Nano), "end": end.UTC().Format(time.RFC3339Nano),
	}}
}

// refuseReplacement is what the fake CA has against an order that replaces a
// certificate, or nil. Like Boulder it lets one be replaced by one order only,
// however far that one has come.
func (ca *fakeCA) refuseReplacement(account, certID string) Handler {
	if certID == "" {
		return nil
	}
	replaced := ca.certified(certID)
	switch {
	case replaced == nil:
		return Problem(http.StatusNotFound, acme.Malformed, "the certificate to be replaced was not issued here")
	case replaced.account != account:
		return Problem(http.StatusForbidden, acme.Unauthorized, "the certificate to be replaced is another account's")
	}
	for _, o := range ca.orders {
		if o.replaces == certID && o.status() != acme.StatusInvalid {
			return Problem(http.StatusConflict, acme.AlreadyReplaced, "the certificate has an order that replaces it")
		}
	}
	return nil
}

// certified finds the order of a certificate by its [acme.CertID].
func (ca *fakeCA) certified(certID string) *fakeOrder {
	for _, o := range ca.orders {
		leaf := o.leaf()
		if leaf == nil {
			continue
		}
		if id, err := acme.CertID(leaf); err == nil && id == certID {
			return o
		}
	}
	return nil
}

// leaf is the certificate of an order, nil when it has none.
func (o *fakeOrder) leaf() *x509.Certificate {
	block, _ := pem.Decode(o.chain)
	if block == nil {
		return nil
	}
	leaf, _ := x509.ParseCertificate(block.Bytes) // it was signed here
	return leaf
}
