package pkiexternalca

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// setHold is a hold on a set of identifiers, which its name in storage does not
// tell.
type setHold struct {
	limit.Hold
	Identifiers []string `json:"identifiers"`
}

// setPath is where the hold on a set of identifiers at an account lies, whatever
// their order.
func setPath(account string, values []string) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(values)), "\n")))
	return account + "/" + hex.EncodeToString(sum[:])
}

// readHold reads a hold; one that does not exist, or that a later release wrote,
// holds nothing.
func readHold[T any](ctx context.Context, s logical.Storage, c store.Collection[T], name string) (*T, error) {
	h, err := c.Get(ctx, s, name)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnreadable) {
		return new(T), nil
	}
	return h, err
}

// holds are those that orders for some identifiers with an account are subject to.
func holds(ctx context.Context, s logical.Storage, name string, values []string) (account *limit.Hold, set *setHold, err error) {
	if account, err = readHold(ctx, s, accountHolds, name); err != nil {
		return nil, nil, err
	}
	set, err = readHold(ctx, s, setHolds, setPath(name, values))
	return account, set, err
}

// admit refuses an order that is not to be placed now because of what the CA has
// said to earlier ones. Nothing that a caller sends overrides it; an operator may
// lift the hold. An account with a limit that holds for longer than the order can
// wait is passed over for the next one. When none is left the order is held back
// until the first of them takes orders again, not until the last does.
func (b *backend) admit(ctx context.Context, s logical.Storage, o *order.Order) error {
	var refusal error
	var until time.Time
	for now := b.now(); ; {
		account, set, err := holds(ctx, s, o.Account, o.Values())
		if err != nil {
			return err
		}
		hold, passable := account, true
		if !account.InForce(now) {
			hold, passable = &set.Hold, set.Elsewhere()
		}
		if !hold.InForce(now) {
			return nil
		}
		if refusal == nil || hold.Until.Before(until) {
			refusal, until = held(o, account, set, now), hold.Until
		}
		if !passable || !o.PassOver(hold.Why, hold.Until.Sub(now), now) {
			return refusal
		}
	}
}

// held tells of the hold that is in the way, first of that on the account.
func held(o *order.Order, account *limit.Hold, set *setHold, now time.Time) error {
	if account.InForce(now) {
		return heldAccount(o, account, now)
	}
	return heldSet(o, set, now)
}

func heldAccount(o *order.Order, hold *limit.Hold, now time.Time) error {
	code := http.StatusTooManyRequests
	if hold.Busy {
		code = http.StatusServiceUnavailable
	}
	return heldBack(code, hold, "new orders with ACME account %q are held back until %s", o.Account, term(hold, now, lifting(o.Account)))
}

func heldSet(o *order.Order, hold *setHold, now time.Time) error {
	return heldBack(http.StatusTooManyRequests, &hold.Hold, "new orders for %s with ACME account %q are held back until %s",
		strings.Join(o.Requested(), ", "), o.Account, term(&hold.Hold, now, lifting(o.Account)+" with identifiers"))
}

// holdError is the error of what is held back until a time.
type holdError struct {
	error
	until time.Time
}

func heldBack(code int, h *limit.Hold, format string, args ...any) error {
	return status(code, "%w", &holdError{fmt.Errorf(format, args...), h.Until})
}

func lifting(account string) string { return "DELETE config/acme-account/" + account + "/limits" }

// term says until when and why there is a hold, and how it ends.
func term(h *limit.Hold, now time.Time, how string) string {
	said := "the CA refused"
	switch {
	case h.Human:
		said = "the CA wants a person to act first"
	case h.Busy:
		said = "the CA asked to wait"
	}
	return fmt.Sprintf("%s: %s, at order %s: %s; an operator may lift this by %s (%s)",
		field.FormatTime(h.Until.Add(time.Second-1)), said, h.Order, h.Why, how, retryAfter(h.Until.Sub(now)))
}

// heed draws the conclusions of an order's last step for orders to come. It comes
// before the order is stored, and may be done again.
func (b *backend) heed(ctx context.Context, s logical.Storage, o *order.Order) error {
	verdict := limit.Judge(o.Trouble)
	waiting := o.State == order.StateNew
	if verdict.Scope == limit.None || !waiting && !o.Final() {
		return nil // what goes wrong later with an order that the CA has is for that order alone
	}
	b.limitsLock.Lock()
	defer b.limitsLock.Unlock()
	name := o.Asked()
	account, set, err := holds(ctx, s, name, o.Values())
	if err != nil {
		return err
	}
	f := limit.Failure{Verdict: verdict, Why: o.Trouble.Error(), Order: string(o.ID), Placed: o.Created, Waiting: waiting}
	if verdict.Scope == limit.Account {
		next := account.After(f, b.now(), b.jitter())
		return accountHolds.Put(ctx, s, name, &next)
	}
	next := setHold{set.After(f, b.now(), b.jitter()), o.Values()}
	return setHolds.Put(ctx, s, setPath(name, o.Values()), &next)
}

// forgive forgets the failures of identifiers for which a certificate was issued.
func (b *backend) forgive(ctx context.Context, s logical.Storage, o *order.Order) error {
	if o.State != order.StateCompleted {
		return nil
	}
	path := setPath(o.Account, o.Values())
	_, err := setHolds.Get(ctx, s, path)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return setHolds.Delete(ctx, s, path) // a record that cannot be read as well
}
