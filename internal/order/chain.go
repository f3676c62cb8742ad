package order

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

const (
	// mostAlternates bounds how many alternate chains are looked at: each costs
	// a request, and how many there are is for the CA to say.
	mostAlternates = 8
	// alternateTries is how often the download fails for the sake of an alternate
	// chain that cannot be had. After that the order goes on without it: the
	// certificate is there, and good.
	alternateTries = 3
	// mostIssuers bounds how many issuers a note names.
	mostIssuers = 10
)

// prefer gives the certificate with the first of the CA's chains in which an
// issuer has the common name that the order prefers. Where there is none it
// keeps the chain that came first, cert, and notes so: another root is no reason
// to do without a certificate.
func (o *Order) prefer(ctx context.Context, env Env, first acme.Chain, cert *Certificate) (*Certificate, error) {
	o.Note = ""
	seen := issuers(first.Certificates)
	if o.PreferredChain == "" || slices.Contains(seen, o.PreferredChain) {
		return cert, nil
	}
	var trouble error
	for _, url := range first.Alternates[:min(len(first.Alternates), mostAlternates)] {
		chain, err := env.CA.Certificate(ctx, url)
		if err != nil && o.Failures < alternateTries {
			return nil, during("downloading an alternate chain", err)
		}
		if err == nil {
			err = sameLeaf(chain.Certificates, first.Certificates[0])
		}
		if err != nil {
			trouble = fmt.Errorf("; an alternate chain could not be used: %w", err)
			continue
		}
		names := issuers(chain.Certificates)
		if slices.Contains(names, o.PreferredChain) {
			return CheckCertificate(chain.Certificates, o.CSR, o.identifiers(), env.Now())
		}
		seen = append(seen, names...)
	}
	o.Note = withoutPreferred(o.PreferredChain, seen, trouble)
	return cert, nil
}

// withoutPreferred tells an operator what could have been preferred.
func withoutPreferred(wanted string, seen []string, trouble error) string {
	slices.Sort(seen)
	seen = slices.Compact(seen)
	quoted := make([]string, min(len(seen), mostIssuers))
	for i := range quoted {
		quoted[i] = fmt.Sprintf("%.100q", seen[i])
	}
	note := fmt.Sprintf("no chain of the CA has the issuer %q, so the one that it sends first was kept; there are %s", wanted, strings.Join(quoted, ", "))
	if trouble != nil {
		note += trouble.Error()
	}
	return note
}

// sameLeaf refuses an alternate chain that is not for the certificate which has
// been checked (RFC 8555 §7.4.2), or that cannot be read.
func sameLeaf(chain [][]byte, leaf []byte) error {
	if len(chain) == 0 {
		return ErrNoChain
	}
	if !bytes.Equal(chain[0], leaf) {
		return ErrOtherLeaf
	}
	for _, der := range chain {
		if _, err := x509.ParseCertificate(der); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadableCA, err)
		}
	}
	return nil
}

// issuers lists the common names of those who signed the certificates of a
// chain. The root, which is not sent, is among them.
func issuers(chain [][]byte) []string {
	var names []string
	for _, der := range chain {
		if cert, err := x509.ParseCertificate(der); err == nil {
			names = append(names, cert.Issuer.CommonName)
		}
	}
	return names
}
