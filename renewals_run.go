package pkiexternalca

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/engine"
)

// keepers is how many certificates are looked after at once.
const keepers = 128

// The lines in which nobody outside is waited for.
const (
	// firstLook is where certificates wait after a start, and after a change that
	// concerns many.
	firstLook = "first look"
	// renewLine is where they wait afterwards, but for the advice of a CA: one that
	// does not answer must not hold up the renewals.
	renewLine = "renewals"
)

// newKeeper makes what has certificates renewed.
func (b *backend) newKeeper(s logical.Storage) *engine.Engine {
	return engine.New(engine.Config{
		Workers: keepers, Most: b.most, Now: b.now,
		Work: func(ctx context.Context, path string, lane engine.Lane) (time.Time, engine.Lane) {
			next := b.tend(ctx, s, path, &lane)
			return next, lane
		},
	})
}

// loadRenewals schedules every standing; when each is due is in its record, which
// the worker reads. However often storage fails, it is tried again.
func (b *backend) loadRenewals(ctx context.Context, s logical.Storage, e *engine.Engine) {
	b.untilDone(ctx, "loading what is to be renewed", func() error { return scheduleStandings(ctx, s, e) })
}

func scheduleStandings(ctx context.Context, s logical.Storage, e *engine.Engine) error {
	names, err := current.List(ctx, s, "")
	if err != nil {
		return err
	}
	for _, role := range names {
		if err := scheduleRole(ctx, s, e, role); err != nil {
			return err
		}
	}
	return nil
}

// scheduleRole schedules the standings of a role, whose name ends with a slash.
func scheduleRole(ctx context.Context, s logical.Storage, e *engine.Engine, role string) error {
	sets, err := current.List(ctx, s, role)
	if err != nil {
		return err
	}
	lane := engine.Lane{Line: firstLook, Share: strings.TrimSuffix(role, "/")}
	for _, set := range sets {
		e.Schedule(role+set, lane, time.Time{})
	}
	return nil
}

// wakeRenewal has the certificate of a standing looked after now.
func (b *backend) wakeRenewal(path string) {
	if e := b.running().renewals; e != nil {
		role, _, _ := strings.Cut(path, "/")
		e.Schedule(path, engine.Lane{Line: renewLine, Share: role}, time.Time{})
	}
}

// wakeRole has all certificates of a role looked after: what it wants of renewals
// has changed. Those that storage does not tell of now are found at the next start.
func (b *backend) wakeRole(ctx context.Context, s logical.Storage, role string) {
	e := b.running().renewals
	if e == nil {
		return
	}
	if err := scheduleRole(ctx, s, e, role+"/"); err != nil {
		b.Logger().Warn("the certificates of a role are not looked after anew before the next start", "role", role, "error", err)
	}
}
