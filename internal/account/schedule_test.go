package account

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

const day = 24 * time.Hour

// TestCheckPeriod holds which periods there are.
func TestCheckPeriod(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		period time.Duration
		ok     bool
		reason string
	}{
		{0, true, "keys are changed by hand"},
		{-time.Hour, false, "time does not go backwards"},
		{time.Second, false, "the CA would hear of nothing else"},
		{time.Hour - 1, false, "the shortest is an hour"},
		{time.Hour, true, "the shortest"},
		{90 * day, true, "what people use"},
		{LongestPeriod, true, "the longest"},
		{LongestPeriod + 1, false, "nobody means a key that is older"},
		{1<<63 - 1, false, "it cannot be added to a date"},
	} {
		if err := CheckPeriod(row.period); (err == nil) != row.ok {
			t.Errorf("%s (%s): %v", row.period, row.reason, err)
		}
	}
}

// TestNextRotation holds when a key is due.
func TestNextRotation(t *testing.T) {
	t.Parallel()
	first := []KeyVersion{{keys.EC256, start}}
	second := []KeyVersion{{keys.EC256, start}, {keys.EC384, start.Add(10 * day)}}
	for _, row := range []struct {
		account Account
		last    time.Time
		next    time.Time
		reason  string
	}{
		{Account{Versions: first}, time.Time{}, time.Time{}, "no period"},
		{Account{Versions: first, RotationPeriod: 30 * day}, time.Time{}, start.Add(30 * day), "the first key ages too"},
		{Account{Versions: second, RotationPeriod: 30 * day}, start.Add(10 * day), start.Add(40 * day), "a changed key begins anew"},
		{Account{Versions: second}, start.Add(10 * day), time.Time{}, "it was changed by hand"},
		{Account{Versions: first, RotationPeriod: day, Rotation: Rotation{Retry: start.Add(2 * day)}}, time.Time{}, start.Add(2 * day), "a failure puts it off"},
		{Account{Versions: first, RotationPeriod: 3 * day, Rotation: Rotation{Retry: start.Add(2 * day)}}, time.Time{}, start.Add(3 * day), "a retry does not make it earlier"},
		{Account{Versions: first, RotationPeriod: day, Deleting: true}, time.Time{}, time.Time{}, "the account is about to end"},
		{Account{RotationPeriod: day}, time.Time{}, time.Time{}, "a record without keys, which should not be, is left alone"},
	} {
		if got := row.account.NextRotation(); !got.Equal(row.next) {
			t.Errorf("%s: next %s, want %s", row.reason, got, row.next)
		}
		if got := row.account.LastRotated(); !got.Equal(row.last) {
			t.Errorf("%s: last %s, want %s", row.reason, got, row.last)
		}
	}
	if a := (Account{Versions: second}); a.ActiveKind() != keys.EC384 {
		t.Errorf("the kind is %s", a.ActiveKind())
	}
}

// TestPostpone holds how long is waited after each kind of failure.
func TestPostpone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		failures int // before
		awaits   string
		after    time.Duration
		jitter   float64
		want     time.Duration
		reason   string
	}{
		{0, "an order", 0, 0, time.Minute, "most challenges are done with in a minute"},
		{1, "an order", 0, 0, 2 * time.Minute, "then longer each time"},
		{1, "an order", 0, 0.5, 2*time.Minute + 12*time.Second, "accounts do not try together"},
		{9, "an order", 0, 0, time.Hour, "but an hour at most: some gap will be met"},
		{1 << 40, "an order", 0, 0, time.Hour, "however often"},
		{0, "", 0, 0, time.Minute, "a CA may be back in a minute"},
		{9, "", 0, 0, 512 * time.Minute, "a CA that refuses is asked less and less"},
		{1 << 40, "", 0, 0, day, "once a day at least"},
		{0, "", 3 * time.Hour, 0, 3 * time.Hour, "the CA says when it wants to be asked"},
		{9, "", time.Second, 0, 512 * time.Minute, "not sooner than by ourselves"},
	} {
		a := Account{Rotation: Rotation{Failures: row.failures}}
		a.Postpone("why", row.awaits, row.after, start, row.jitter)
		want := Rotation{Failures: row.failures + 1, Retry: start.Add(row.want), LastError: "why", Awaits: row.awaits}
		if a.Rotation != want {
			t.Errorf("%s: %+v, want %+v", row.reason, a.Rotation, want)
		}
	}
}

// TestAChangeOfKeyForgetsFailures holds that every change does, also one that was
// found out later.
func TestAChangeOfKeyForgetsFailures(t *testing.T) {
	t.Parallel()
	for _, lostBefore := range []bool{false, true} {
		v, ca := opened(t)
		if lostBefore {
			v.leaveOpen(ca, true)
		}
		a := v.load()
		a.RotationPeriod = day
		a.Postpone("the CA was away", "", 0, later, 0)
		if err := v.save(a); err != nil {
			t.Fatal(err)
		}
		change := func() error { return Rotate(context.Background(), a, keys.EC256, ca, v.save, later) }
		if lostBefore {
			change = func() error { return Reconcile(context.Background(), a, ca, v.save, later) }
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if got := v.load(); got.Rotation != (Rotation{}) || got.RotationPeriod != day {
			t.Errorf("lost before: %t: %s", lostBefore, fmt.Sprintf("%+v, every %s", got.Rotation, got.RotationPeriod))
		}
	}
}
