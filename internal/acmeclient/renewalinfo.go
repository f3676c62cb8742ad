package acmeclient

import (
	"context"
	"fmt"
	"net/http"
	"time"

	lego "github.com/go-acme/lego/v4/acme"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// RenewalInfo asks when a certificate, named by its [acme.CertID], is to be
// renewed (RFC 9773 §4.1). The request is a plain GET without an account. The
// error wraps [acme.ErrViolation] when the CA does not offer renewal
// information; look at the directory first.
func (s *Server) RenewalInfo(ctx context.Context, certID string) (acme.RenewalInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := s.endpoints(ctx)
	if err != nil {
		return acme.RenewalInfo{}, err
	}
	if d.renewalInfo == "" {
		return acme.RenewalInfo{}, missing("renewalInfo")
	}
	r := request{doing: "reading the renewal information at", url: d.renewalInfo + "/" + certID}
	a, err := s.exchange(ctx, http.MethodGet, r, nil)
	if err != nil {
		return acme.RenewalInfo{}, err
	}
	if p := a.problem(); p != nil {
		return acme.RenewalInfo{}, p
	}
	return a.renewalInfo()
}

// RenewalInfo is [Server.RenewalInfo] of the account's CA.
func (c *Client) RenewalInfo(ctx context.Context, certID string) (acme.RenewalInfo, error) {
	return c.server.RenewalInfo(ctx, certID)
}

// renewalInfo reads a RenewalInfo object (RFC 9773 §4.2). A window of which
// only one end can be read is none.
func (a *answer) renewalInfo() (acme.RenewalInfo, error) {
	var wire lego.RenewalInfoResponse
	if err := a.decode(&wire); err != nil {
		return acme.RenewalInfo{}, err
	}
	window := wire.SuggestedWindow
	if !storable(window.Start) || !storable(window.End) {
		return acme.RenewalInfo{}, a.unreachable(fmt.Errorf("the answer has no suggestedWindow with a start and an end (RFC 9773 §4.2): %q", a.excerpt()))
	}
	info := acme.RenewalInfo{Start: window.Start.UTC(), End: window.End.UTC(), RetryAfter: a.retryAfter()}
	if u, err := parseURL(wire.ExplanationURL); err == nil {
		info.ExplanationURL = u.String()
	}
	return info, nil
}

// storable tells whether a time is one, and can be written as JSON again, which
// has no year above 9999.
func storable(t time.Time) bool {
	t = t.UTC()
	return !t.IsZero() && t.Year() > 0 && t.Year() <= 9999
}
