package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// log is what workers did, in order: the key and the time since the beginning.
type log struct {
	mu      sync.Mutex
	start   time.Time
	entries []string
}

func newLog() *log { return &log{start: time.Now()} }

func (l *log) add(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, fmt.Sprintf("%s %s", key, time.Since(l.start)))
}

func (l *log) check(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.entries, want) {
		t.Errorf("worked on %v, want %v", l.entries, want)
	}
}

// newEngine makes an engine whose keys are all in one lane, and wait for nobody
// in particular.
func newEngine(workers int, work func(context.Context, string) time.Time) *Engine {
	return New(Config{
		Workers: workers, Most: func(string) int { return workers }, Now: time.Now,
		Work: func(ctx context.Context, key string, in Lane) (time.Time, Lane) { return work(ctx, key), in },
	})
}

// run starts an engine and returns what ends it and waits for its end. Time in
// these tests is that of a bubble: it passes when everybody waits.
func run(e *Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

func TestKeysAreWorkedOnWhenDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		e := newEngine(1, func(_ context.Context, key string) time.Time {
			l.add(key)
			return time.Time{}
		})
		e.Schedule("late", Lane{}, in(time.Hour))
		e.Schedule("first", Lane{}, in(time.Second))
		e.Schedule("at once", Lane{}, time.Time{})
		defer run(e)()
		e.Schedule("second", Lane{}, in(2*time.Second))
		e.Schedule("past", Lane{}, in(-time.Hour))
		pass(2 * time.Hour)
		l.check(t, "past 0s", "at once 0s", "first 1s", "second 2s", "late 1h0m0s")
		if e.Len() != 0 {
			t.Errorf("%d keys are kept though nothing is due", e.Len())
		}
	})
}

func TestTheEarlierOfTwoTimesCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		e := newEngine(4, func(_ context.Context, key string) time.Time {
			l.add(key)
			return time.Time{}
		})
		defer run(e)()
		e.Schedule("passed by", Lane{}, in(30*time.Minute))
		e.Schedule("sooner", Lane{}, in(time.Hour))
		e.Schedule("sooner", Lane{}, in(time.Minute))
		e.Schedule("not later", Lane{}, in(2*time.Minute))
		e.Schedule("not later", Lane{}, in(time.Hour))
		e.Schedule("woken", Lane{}, in(time.Hour))
		pass(3 * time.Minute)
		e.Wake("woken")
		pass(24 * time.Hour)
		l.check(t, "sooner 1m0s", "not later 2m0s", "woken 3m0s", "passed by 30m0s")
	})
}

func TestWorkComesBackWhenItSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		times := 0
		e := newEngine(4, func(_ context.Context, key string) time.Time {
			l.add(key)
			if times++; times == 4 {
				return time.Time{}
			}
			return in(time.Minute)
		})
		defer run(e)()
		e.Wake("a")
		pass(90 * time.Second)
		e.Wake("a") // does not wait for the minute, which begins anew
		pass(time.Hour)
		l.check(t, "a 0s", "a 1m0s", "a 1m30s", "a 2m30s")
	})
}

// TestWakeWhileRunning holds that a wake-up is not lost on a worker that has
// looked already, and gives no second worker to the key.
func TestWakeWhileRunning(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		during func(*Engine)
		next   time.Duration // what the first work returns; 0: nothing
		want   []string
		reason string
	}{
		{func(e *Engine) { e.Wake("a") }, 0, []string{"a 0s", "a 10s"}, "again at once, but after the worker"},
		{func(e *Engine) { e.Wake("a"); e.Wake("a") }, 0, []string{"a 0s", "a 10s"}, "two wake-ups are one"},
		{func(e *Engine) { e.Wake("a") }, time.Hour, []string{"a 0s", "a 10s"}, "the wake-up is earlier than what the worker wanted"},
		{func(e *Engine) { e.Schedule("a", Lane{}, in(time.Hour)) }, time.Minute, []string{"a 0s", "a 1m10s"}, "what the worker wanted is earlier"},
		{func(e *Engine) { e.Schedule("a", Lane{}, in(time.Minute)) }, 0, []string{"a 0s", "a 1m5s"}, "a time that was scheduled meanwhile"},
		{func(e *Engine) { e.Schedule("a", Lane{}, time.Time{}) }, 0, []string{"a 0s", "a 10s"}, "the zero time is no less a wake-up"},
		{func(*Engine) {}, 0, []string{"a 0s"}, "nobody wakes it"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLog()
			first := true
			e := newEngine(4, func(_ context.Context, key string) time.Time {
				l.add(key)
				if !first {
					return time.Time{}
				}
				first = false
				<-time.After(10 * time.Second)
				if test.next == 0 {
					return time.Time{}
				}
				return in(test.next)
			})
			defer run(e)()
			e.Wake("a")
			pass(5 * time.Second)
			test.during(e)
			pass(24 * time.Hour)
			l.check(t, test.want...)
		})
	}
}
