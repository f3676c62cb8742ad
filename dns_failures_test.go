package pkiexternalca

import (
	"testing"
	"time"
)

// TestFailureLog holds when something that fails is tried again.
func TestFailureLog(t *testing.T) {
	t.Parallel()
	var log failureLog
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	enter := func(now int, want time.Time, reason string) {
		t.Helper()
		if got := log.enter("x", at(now)); !got.Equal(want) {
			t.Errorf("after %d s it says %s, want %s: %s", now, got.Sub(start), want.Sub(start), reason)
		}
	}
	note := func(began, now int, asked time.Duration, want time.Time, reason string) {
		t.Helper()
		if got := log.note("x", at(began), at(now), asked); !got.Equal(want) {
			t.Errorf("after %d s it says %s, want %s: %s", now, got.Sub(start), want.Sub(start), reason)
		}
	}
	enter(0, time.Time{}, "nothing has failed")
	note(0, 10, 0, at(11), "the first wait is a second")
	note(0, 10, 0, at(11), "what failed beside it counts once")
	note(9, 10, 0, at(11), "whenever it began")
	enter(10, at(11), "all others wait with it")
	enter(11, time.Time{}, "one may try")
	enter(11, at(12), "and the others wait for what comes of it")
	note(11, 11, 0, at(13), "the second wait is twice as long")
	note(13, 13, time.Minute, at(73), "a service may ask for more time")
	note(73, 73, time.Millisecond, at(81), "but not for less")
	note(81, 81, 1000*time.Hour, at(81).Add(longestAsked), "nor for ever")
	if !log.end("x") || log.end("x") {
		t.Error("a failure is over once")
	}
	enter(82, time.Time{}, "it is over")
	if log.enter("other", at(10)); len(log.of) != 0 {
		t.Errorf("it remembers %d things that did not fail", len(log.of))
	}
}

func TestCollectionGrows(t *testing.T) {
	t.Parallel()
	for times, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 12: 2048 * time.Second, 13: time.Hour, 14: time.Hour, 1 << 40: time.Hour,
	} {
		if got := collection(times); got != want {
			t.Errorf("after %d failures the wait is %s, want %s", times, got, want)
		}
	}
}
