package acmeclient

import (
	"context"
	"net/http"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// maxTries bounds how often a request is signed anew because of badNonce. With
// nine nonces in ten refused, all of them fail once in forty thousand requests.
const maxTries = 100

// nonceDelay is the pause before a try, the first being 0. RFC 8555 §6.5 wants
// the repetition at once; only a CA that keeps refusing is given some air.
func nonceDelay(try int) time.Duration {
	const prompt, longest = 5, 100 * time.Millisecond
	return min(time.Duration(max(try-prompt, 0))*2*time.Millisecond, longest)
}

// post makes a signed request (RFC 8555 §6.2) and gives the answer if it is a
// success. The error is an *acme.Problem or an *acme.Unreachable, unless the
// key cannot sign.
func (s *Server) post(ctx context.Context, who signer, r request) (*answer, error) {
	if r.patience == 0 {
		r.patience = patience
	}
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	nonce := ""
	for try := 0; ; try++ {
		if err := pause(ctx, nonceDelay(try)); err != nil {
			return nil, r.unreachable(err)
		}
		a, err := s.postOnce(ctx, who, r, nonce)
		if err != nil {
			return nil, err
		}
		p := a.problem()
		if nonce = a.nonce(); p != nil && p.Type == acme.BadNonce && try+1 < maxTries {
			continue // with the nonce of this very answer
		}
		s.nonces.put(nonce, a.now)
		if p != nil {
			return nil, p
		}
		return a, nil
	}
}

// postOnce signs and sends. An empty nonce stands for any.
func (s *Server) postOnce(ctx context.Context, who signer, r request, nonce string) (*answer, error) {
	if nonce == "" {
		var err error
		if nonce, err = s.nonce(ctx); err != nil {
			return nil, err
		}
	}
	body, err := who.sign(r.url, nonce, r.payload)
	if err != nil {
		return nil, err
	}
	return s.exchange(ctx, http.MethodPost, r, body)
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
