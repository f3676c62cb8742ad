package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestClockIsSet holds that the engine follows the clock it was given where that
// was put forward, because a machine may have slept; where it was put back the
// engine goes on waiting for what was left: nobody waits for the same day twice.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		by     time.Duration
		want   []string // "a" is due in an hour, "b" in two days
		reason string
	}{
		{24 * time.Hour, []string{"a 2m0s", "b 24h0m0s"}, "at the next nap a is due, b when the clock says so"},
		{-240 * time.Hour, []string{"a 1h1m0s", "b 48h1m0s"}, "what was waited since the last nap is waited again, and no more"},
		{-time.Second / 2, []string{"a 1h0m0.5s", "b 48h0m0.5s"}, "a clock that is kept right"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var ahead atomic.Int64
			l := newLog()
			e := New(Config{
				Workers: 1, Most: func(string) int { return 1 },
				Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())).Round(0) },
				Work: func(_ context.Context, key string, in Lane) (time.Time, Lane) {
					l.add(key)
					return time.Time{}, in
				},
			})
			e.Schedule("a", Lane{}, in(time.Hour))
			e.Schedule("b", Lane{}, in(48*time.Hour))
			defer run(e)()
			pass(90 * time.Second)
			ahead.Store(int64(row.by))
			pass(1000 * time.Hour)
			t.Log(row.reason)
			l.check(t, row.want...)
		})
	}
}

// TestClockIsSetBackDuringWork holds that neither a wake-up nor a turn is put off
// to when the clock shows that time again.
func TestClockIsSetBackDuringWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		l := newLog()
		e := New(Config{
			Workers: 1, Most: func(string) int { return 1 },
			Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())).Round(0) },
			Work: func(_ context.Context, key string, in Lane) (time.Time, Lane) {
				l.add(key)
				<-time.After(10 * time.Second)
				return time.Time{}, in
			},
		})
		defer run(e)()
		e.Wake("a")
		pass(time.Second)
		e.Wake("before") // waits for its turn
		e.Wake("a")      // is to be worked on once more
		pass(time.Second)
		ahead.Store(int64(-240 * time.Hour))
		pass(time.Second)
		e.Wake("after")
		pass(time.Minute)
		l.check(t, "a 0s", "before 10s", "a 20s", "after 30s")
	})
}
