package pkiexternalca

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/retention"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// Finished orders are deleted by the hour in which they were made. An hour's mark
// says when anything in it can go, and only then are its orders read: what has
// accumulated costs one read for each hour when the work begins, and nothing
// afterwards. One hour is tidied at a time, in steps with rests between them.

const (
	// tidyStep is how many orders are looked at between two rests.
	tidyStep = 100
	// tidyAgain is the least time between two looks at the same hour.
	tidyAgain = 10 * time.Minute
	// tidyOwed is when an order is looked at again that has to stay because a TXT
	// record of it is not removed yet, or its certificate not renewed.
	tidyOwed = 24 * time.Hour
)

// The keys of the work besides hours. No hour has such a name.
const (
	// allHours looks for all hours that have orders.
	allHours = "all"
	// newHours follows the clock.
	newHours = "new"
	// staleLimits forgets failures that mean nothing any more, see limit.Hold.
	staleLimits = "limits"
)

// tidying is the work of one run: an engine with one worker, whose keys are hours.
type tidying struct {
	b      *backend
	s      logical.Storage
	engine *engine.Engine
	// followed is until when the hours are known.
	followed time.Time
}

// newTidying makes the work, which begins with a look at all hours.
func (b *backend) newTidying(s logical.Storage) *engine.Engine {
	t := &tidying{b: b, s: s, followed: b.now()}
	t.engine = engine.New(engine.Config{
		Workers: 1, Most: func(string) int { return 1 }, Now: b.now,
		Work: func(ctx context.Context, key string, in engine.Lane) (time.Time, engine.Lane) {
			return t.work(ctx, key), in
		},
	})
	t.schedule([]string{allHours, newHours})
	t.engine.Schedule(staleLimits, engine.Lane{}, b.now().Add(time.Hour)) // it is in no hurry
	return t.engine
}

// wakeTidying has all hours looked at anew: by another policy, other orders go.
func (b *backend) wakeTidying() {
	if e := b.running().tidying; e != nil {
		e.Wake(allHours)
	}
}

// work does what is due, and returns when to come back.
func (t *tidying) work(ctx context.Context, key string) (next time.Time) {
	next = t.b.now().Add(t.b.storagePause) // after a panic, too
	defer t.b.survive("deleting old orders", order.ID(key))
	then, err := t.look(ctx, key)
	if err == nil {
		return then
	}
	if ctx.Err() == nil {
		t.b.Logger().Warn("old orders cannot be looked through; trying again", "hour", key, "error", err)
	}
	return next
}

func (t *tidying) look(ctx context.Context, key string) (next time.Time, err error) {
	switch key {
	case allHours:
		hours, err := orderHours.List(ctx, t.s, "")
		t.schedule(hours)
		return time.Time{}, err
	case newHours:
		now := t.b.now()
		t.schedule(hoursBack(now, t.followed))
		t.followed = now
		return now.Truncate(time.Hour).Add(time.Hour), nil
	case staleLimits:
		return t.b.now().Add(limitsTidied), t.tidyLimits(ctx)
	}
	return t.tidyHour(ctx, key)
}

func (t *tidying) schedule(keys []string) {
	for _, key := range keys {
		t.engine.Wake(key)
	}
}

// tidyHour deletes what can go of an hour, if anything can, and returns when to
// look again.
func (t *tidying) tidyHour(ctx context.Context, hour string) (next time.Time, err error) {
	start, err := order.ParseHour(hour)
	if err != nil {
		t.b.Logger().Error("a record of orders is left alone", "error", err)
		return time.Time{}, nil
	}
	policy, err := readRetention(ctx, t.s)
	if err != nil {
		return time.Time{}, err
	}
	mark, err := orderHours.Get(ctx, t.s, hour)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return t.ifOpen(start), nil // it may still get orders
	case errors.Is(err, store.ErrUnreadable):
		mark = &hourMark{} // a hint, which is made anew
	case err != nil:
		return time.Time{}, err
	}
	due := mark.NextTidy
	if mark.Policy != policy {
		due = policy.Earliest(start)
	}
	if due.IsZero() || due.After(t.b.now()) {
		return due, nil
	}
	return t.tidyOrders(ctx, hour, start, policy)
}

// ifOpen gives the end of an hour that is not over yet. An order that began in
// it may be stored a little later.
func (t *tidying) ifOpen(start time.Time) time.Time {
	if end := start.Add(2 * time.Hour); t.b.now().Before(end) {
		return end
	}
	return time.Time{}
}

// tidyOrders looks through the orders of an hour, step by step, and notes in its
// mark when to look again.
func (t *tidying) tidyOrders(ctx context.Context, hour string, start time.Time, policy retention.Policy) (next time.Time, err error) {
	names, err := orders.List(ctx, t.s, hour+"/")
	if err != nil {
		return time.Time{}, err
	}
	kept := len(names)
	defer func() { t.report(hour, kept, len(names)-kept) }()
	var soonest time.Time
	for step := range slices.Chunk(names, tidyStep) {
		if now, err := t.rest(ctx); err != nil || now != policy {
			return time.Time{}, err // whoever changed it has woken what begins anew
		}
		for _, name := range step {
			at, gone, err := t.b.tidyOrder(ctx, t.s, policy, hour, name)
			if err != nil {
				return time.Time{}, err
			}
			if gone {
				kept--
			}
			soonest = retention.Sooner(soonest, at)
		}
	}
	return t.note(ctx, hour, start, kept, hourMark{Policy: policy, NextTidy: soonest})
}

// rest leaves the storage to others for a while, and gives the policy that holds
// then: it is how an operator stops what is under way.
func (t *tidying) rest(ctx context.Context) (retention.Policy, error) {
	select {
	case <-ctx.Done():
		return retention.Policy{}, ctx.Err()
	case <-time.After(t.b.tidyRest):
		return readRetention(ctx, t.s)
	}
}

// note stores when to look at an hour again, or forgets the hour.
func (t *tidying) note(ctx context.Context, hour string, start time.Time, kept int, mark hourMark) (next time.Time, err error) {
	now := t.b.now()
	open := !t.ifOpen(start).IsZero()
	if kept == 0 && !open {
		return time.Time{}, orderHours.Delete(ctx, t.s, hour)
	}
	if open {
		mark.NextTidy = retention.Sooner(mark.NextTidy, mark.Policy.Earliest(now))
	}
	if earliest := now.Add(tidyAgain); !mark.NextTidy.IsZero() && mark.NextTidy.Before(earliest) {
		mark.NextTidy = earliest
	}
	return mark.NextTidy, orderHours.Put(ctx, t.s, hour, &mark)
}

func (t *tidying) report(hour string, kept, deleted int) {
	if deleted > 0 {
		t.b.Logger().Info("finished orders were deleted by age", "made_in", hour, "deleted", deleted, "kept", kept)
	}
}
