package http01

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// ready makes a relay that has followed all orders, of which there are none.
func ready(now func() time.Time) *Relay {
	r := New(now)
	r.Ready()
	return r
}

// check asks for a token.
func check(t *testing.T, r *Relay, reason, token, want string, wantErr error) {
	t.Helper()
	got, err := r.Answer(token)
	if got != want || !errors.Is(err, wantErr) {
		t.Errorf("%s: %q is answered %q, %v; want %q, %v", reason, token, got, err, want, wantErr)
	}
}

func TestAnswersFollowTheOrders(t *testing.T) {
	t.Parallel()
	r := New(time.Now)
	r.Follow("one", map[string]string{"a": "a.key", "b": "b.key"})
	check(t, r, "a live token needs no other order", "a", "a.key", nil)
	check(t, r, "an order that is not followed yet may have it", "c", "", ErrStarting)
	r.Ready()
	check(t, r, "none has it", "c", "", ErrUnknown)
	check(t, r, "nobody was given it", "", "", ErrToken)
	r.Follow("one", map[string]string{"b": "b.second"})
	check(t, r, "it is not wanted any more", "a", "", ErrUnknown)
	check(t, r, "the account has another key", "b", "b.second", nil)
	r.Follow("one", nil)
	check(t, r, "the order has ended", "b", "", ErrUnknown)
	r.Follow("one", nil)
	r.Follow("two", map[string]string{"no token": "x", "": "y"})
	check(t, r, "nobody can ask for it", "no token", "", ErrToken)
	if len(r.answers)+len(r.orders) > 0 {
		t.Errorf("%d answers and %d orders are left of none", len(r.answers), len(r.orders))
	}
	r.Follow("two", map[string]string{"b": "b.key"})
	r.Forget()
	check(t, r, "another node may have it", "b", "", ErrStarting)
	r.Follow("two", nil)
}

// TestOrdersShareTokens: a CA may give two orders the same authorization.
func TestOrdersShareTokens(t *testing.T) {
	t.Parallel()
	r := ready(time.Now)
	r.Follow("one", map[string]string{"a": "a.key"})
	r.Follow("two", map[string]string{"a": "a.key"})
	r.Follow("one", map[string]string{"a": "a.key"})
	r.Follow("one", nil)
	check(t, r, "the other order waits for it", "a", "a.key", nil)
	r.Follow("two", nil)
	check(t, r, "both have ended", "a", "", ErrUnknown)
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	r := New(time.Now)
	r.Follow("one", map[string]string{"a": "a.key"})
	r.Switch(false)
	check(t, r, "it is off", "a", "", ErrUnknown)
	check(t, r, "it is off, whatever orders there are", "b", "", ErrUnknown)
	check(t, r, "it is off, whatever was asked", "../b", "", ErrUnknown)
	if r.On() {
		t.Error("it is on")
	}
	r.Switch(true)
	check(t, r, "it is on again", "a", "a.key", nil)
}

// TestFlood: who guesses tokens is held back, and no CA with him.
func TestFlood(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := ready(func() time.Time { return clock })
	r.Follow("one", map[string]string{"a": "a.key"})
	for n := range 1000 {
		check(t, r, "so many may come at once", fmt.Sprint("guess-", n), "", ErrUnknown)
	}
	check(t, r, "one more is too much", "guess", "", ErrBusy)
	check(t, r, "but a CA is heard", "a", "a.key", nil)
	clock = clock.Add(-time.Hour)
	check(t, r, "a clock that was set back is no reason to hear more", "guess", "", ErrBusy)
	clock = clock.Add(10 * time.Millisecond)
	for range 5 {
		check(t, r, "five in ten milliseconds are let through", "guess", "", ErrUnknown)
	}
	check(t, r, "and no sixth", "guess", "", ErrBusy)
	clock = clock.Add(time.Hour)
	for range 1000 {
		check(t, r, "it is full again, and not more than full", "guess", "", ErrUnknown)
	}
	check(t, r, "one more is too much", "guess", "", ErrBusy)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r := ready(time.Now)
	r.Follow("stays", map[string]string{"stays": "stays.key"})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			name := fmt.Sprint("order-", n)
			for range 200 {
				r.Follow(name, map[string]string{name: name + ".key", "shared": "shared.key"})
				check(t, r, "it was just given", name, name+".key", nil)
				check(t, r, "others come and go", "stays", "stays.key", nil)
				r.Follow(name, nil)
			}
		})
	}
	all.Wait()
	if len(r.answers) != 1 {
		t.Errorf("%d answers are left, want 1", len(r.answers))
	}
}
