package pkiexternalca

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

// askPatience is short: there is always a time to renew at without the CA's word.
const askPatience = 10 * time.Second

// askCA asks when the CA would have a charge renewed (RFC 9773).
func (b *backend) askCA(ctx context.Context, s logical.Storage, c *charge) error {
	info, err := b.renewalInfo(ctx, s, c)
	if ctx.Err() != nil {
		return ctx.Err() // nobody was asked
	}
	if err != nil {
		if acme.Temporary(err) {
			b.silences.begin(c.order.Account, b.now())
		}
		b.Logger().Debug("the CA gave no renewal information", "order", c.order.ID, "reason", err)
		return b.changeCare(ctx, s, c, func(at *care) { at.Advice.Unheard(b.now(), !errors.Is(err, acme.ErrViolation)) })
	}
	window := renewal.Window{Start: info.Start, End: info.End}
	return b.changeCare(ctx, s, c, func(at *care) {
		at.Advice.Heard(window, info.ExplanationURL, info.RetryAfter, at.Life, b.now(), b.jitter())
	})
}

func (b *backend) renewalInfo(ctx context.Context, s logical.Storage, c *charge) (acme.RenewalInfo, error) {
	ca, err := b.clientOf(ctx, s, c.order.Account)
	if err != nil {
		return acme.RenewalInfo{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.askPatience)
	defer cancel()
	return ca.RenewalInfo(ctx, c.standing.Care.CertID)
}

// silences remember which accounts' CAs gave no answer when asked for renewal
// information, so that thousands of certificates do not each wait in vain. A
// restart forgets it.
type silences struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// spell is how long a CA that gave no answer is not asked about other certificates.
const spell = 10 * time.Minute

func newSilences() silences { return silences{since: map[string]time.Time{}} }

func (q *silences) begin(account string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.since[account] = now
}

// over is when the CA of an account may be asked again; zero when it may be now.
func (q *silences) over(account string, now time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	since, silent := q.since[account]
	if !silent || now.Sub(since) >= spell || since.After(now) {
		delete(q.since, account)
		return time.Time{}
	}
	return since.Add(spell)
}
