package acmeclient

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

const (
	// maxNonces bounds the pool; it is as many as there are requests at once of
	// the busiest account.
	maxNonces = 256
	// nonceLife is how long a nonce is believed in. CAs forget theirs after
	// minutes to hours, and a forgotten one costs a request.
	nonceLife = 5 * time.Minute
)

// noncePool keeps the nonces that came with answers, so that a request rarely
// needs another one before it (RFC 8555 §6.5). The newest is used first.
type noncePool struct {
	mu     sync.Mutex
	nonces []pooledNonce // oldest first
}

type pooledNonce struct {
	value string
	since time.Time
}

func (p *noncePool) put(nonce string, now time.Time) {
	if nonce == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.nonces) >= maxNonces {
		p.nonces = append(p.nonces[:0], p.nonces[1:]...)
	}
	p.nonces = append(p.nonces, pooledNonce{nonce, now})
}

// take gives the newest nonce, or "".
func (p *noncePool) take(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.nonces) == 0 {
		return ""
	}
	last := len(p.nonces) - 1
	newest := p.nonces[last]
	p.nonces = p.nonces[:last]
	if now.Sub(newest.since) > nonceLife {
		p.nonces = nil // the others are older still
		return ""
	}
	return newest.value
}

// nonce gives one from the pool, or asks the CA (RFC 8555 §7.2).
func (s *Server) nonce(ctx context.Context) (string, error) {
	if nonce := s.nonces.take(s.now()); nonce != "" {
		return nonce, nil
	}
	d, err := s.endpoints(ctx)
	if err != nil {
		return "", err
	}
	a, err := s.exchange(ctx, http.MethodHead, request{doing: "getting a nonce from", url: d.newNonce}, nil)
	if err != nil {
		return "", err
	}
	if p := a.problem(); p != nil {
		return "", a.indirect(p)
	}
	nonce := a.nonce()
	if nonce == "" {
		return "", a.unreachable(errors.New("the answer has no Replay-Nonce header (RFC 8555 §7.2)"))
	}
	return nonce, nil
}

// indirect is for the refusal of a request that was only made on the way to
// another: a nonce, the directory. What says "later" is passed on; what says
// "there is no such thing" must not be taken for an answer about an order.
func (a *answer) indirect(p *acme.Problem) error {
	if acme.Temporary(p) {
		return p
	}
	return a.unreachable(errors.New(p.Error()))
}

// nonce gives the answer's Replay-Nonce. One that is not base64url is ignored
// (RFC 8555 §6.5.1).
func (a *answer) nonce() string {
	nonce := a.header.Get("Replay-Nonce")
	if !isBase64URL(nonce) || len(nonce) > maxURL {
		return ""
	}
	return nonce
}

// isBase64URL tells whether a text is one or more characters of the base64url
// alphabet, without padding.
func isBase64URL(s string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s != "" && strings.Trim(s, alphabet) == ""
}
