package pkiexternalca

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// limitsTidied is the time between two looks for limits that mean nothing any more.
const limitsTidied = 24 * time.Hour

// tidyLimits looks through the limits of all accounts, with rests between the steps.
func (t *tidying) tidyLimits(ctx context.Context) error {
	names, err := accounts.List(ctx, t.s, "")
	if err != nil {
		return err
	}
	for _, name := range names {
		after, err := t.b.tidySets(ctx, t.s, name, "", tidyStep)
		for err == nil && after != "" {
			if _, err = t.rest(ctx); err == nil {
				after, err = t.b.tidySets(ctx, t.s, name, after, tidyStep)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tidySets removes holds on sets of identifiers that mean nothing any more: at
// most so many of those at one account whose names in storage come after one. It
// returns the name to go on after, "" when there are no more.
func (b *backend) tidySets(ctx context.Context, s logical.Storage, account, after string, most int) (string, error) {
	paths, err := setPaths(ctx, s, account)
	if err != nil {
		return "", err
	}
	at, found := slices.BinarySearch(paths, after)
	if found {
		at++
	}
	paths = paths[at:]
	for i, path := range paths {
		if i == most {
			return paths[i-1], nil
		}
		if err := b.tidyLimit(ctx, s, path); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (b *backend) tidyLimit(ctx context.Context, s logical.Storage, path string) error {
	b.limitsLock.Lock()
	defer b.limitsLock.Unlock()
	set, err := setHolds.Get(ctx, s, path)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrUnreadable):
		return nil
	case err != nil:
		return err
	case set.Stale(b.now()):
		return setHolds.Delete(ctx, s, path)
	}
	return nil
}
