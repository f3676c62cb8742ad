package dnsprovider

import (
	"errors"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// busy is an answer whose status reads like a refusal, but which means that
// there were too many requests, or that somebody else was faster.
type busy struct {
	error

	retryAfter time.Duration
}

func (b busy) Unwrap() error { return b.error }

// failure makes of what went wrong with a record what a provider returns; nil
// stays nil. The zone is "" while it is unknown.
func failure(label, zone string, r dns01.Record, err error) error {
	b, isBusy := errors.AsType[busy](err)
	if !isBusy {
		return (&api{label: label}).failed(zone, r, err)
	}
	return &dns01.Failure{Provider: label, Zone: zone, Record: r.Name, RetryAfter: b.retryAfter, Err: err}
}

// detailLength is how much of the words of a service is shown, in characters.
const detailLength = 300

// told is what a service said was wrong, in one line. What follows the first
// line is left out, because AWS repeats there what it calculated a signature
// of, session tokens included.
func told(code, message string, secrets ...secret.Text) string {
	message, _, _ = strings.Cut(message, "\n")
	if code != "" {
		message = code + ": " + message
	}
	for _, s := range secrets {
		if s != "" {
			message = strings.ReplaceAll(message, s.Reveal(), "[redacted]")
		}
	}
	return upstream.Clean(message, detailLength)
}
