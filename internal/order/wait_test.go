package order

import (
	"math"
	"testing"
	"time"
)

func TestPoll(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n      int
		asked  time.Duration
		want   time.Duration
		reason string
	}{
		{0, 0, 40 * time.Millisecond, "a CA on this machine has answered by then"},
		{1, 0, 80 * time.Millisecond, "doubled"},
		{8, 0, 10240 * time.Millisecond, "doubled eight times"},
		{9, 0, 15 * time.Second, "steady"},
		{28, 0, 15 * time.Second, "for some five minutes"},
		{29, 0, 30 * time.Second, "then half as often"},
		{49, 0, time.Minute, "and again"},
		{1000, 0, 10 * time.Minute, "six times an hour in the end"},
		{math.MaxInt, 0, 10 * time.Minute, "no number of polls is too many"},
		{-1, 0, 40 * time.Millisecond, "nor too few"},
		{0, time.Second, time.Second, "never sooner than the CA asks"},
		{0, 7 * 24 * time.Hour, 7 * 24 * time.Hour, "whatever it asks"},
		{20, time.Second, 15 * time.Second, "but not more often because it asks for less"},
		{5, -time.Hour, 1280 * time.Millisecond, "and never in the past"},
	} {
		if got := poll(test.n, test.asked); got != test.want {
			t.Errorf("poll %d, asked %s: %s, want %s (%s)", test.n, test.asked, got, test.want, test.reason)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n      int
		jitter float64
		want   time.Duration
		reason string
	}{
		{1, 0, time.Second, "the first failure"},
		{2, 0, 2 * time.Second, "doubled"},
		{10, 0, 512 * time.Second, "doubled nine times"},
		{11, 0, 10 * time.Minute, "no longer than that"},
		{math.MaxInt, 0, 10 * time.Minute, "however often it failed"},
		{0, 0, time.Second, "no failure is treated as one"},
		{-5, 0, time.Second, "as is an impossible number"},
		{1, 0.5, 1100 * time.Millisecond, "spread by a tenth"},
		{11, 1, 12 * time.Minute, "spread by a fifth at most"},
	} {
		if got := backoff(test.n, test.jitter); got != test.want {
			t.Errorf("failure %d, jitter %g: %s, want %s (%s)", test.n, test.jitter, got, test.want, test.reason)
		}
	}
}

// TestWaitsGrow holds that no wait is shorter than the one before it.
func TestWaitsGrow(t *testing.T) {
	t.Parallel()
	for n := range 2000 {
		if poll(n+1, 0) < poll(n, 0) || backoff(n+1, 0) < backoff(n, 0) {
			t.Errorf("the wait shrinks after %d", n)
		}
	}
}

// TestWeekOfPolls holds what a CA that is busy for a week has to bear.
func TestWeekOfPolls(t *testing.T) {
	t.Parallel()
	polls := 0
	for waited := time.Duration(0); waited < patience; polls++ {
		waited += poll(polls, 0)
	}
	if polls > 1200 {
		t.Errorf("%d polls in a week", polls)
	}
}
