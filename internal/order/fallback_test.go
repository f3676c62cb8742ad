package order

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// TestTurnsAfter holds after which failures an order turns to another account.
// Each row is a failure of an order that has failed like that for a minute, unless
// the row says otherwise.
func TestTurnsAfter(t *testing.T) {
	t.Parallel()
	problem := func(status int, kind string, wait time.Duration) error {
		return fmt.Errorf("asking: %w", &acme.Problem{Status: status, Type: kind, RetryAfter: wait})
	}
	away := &acme.Unreachable{Doing: "asking", Err: errors.New("refused")}
	for _, row := range []struct {
		err    error
		change func(*Order)
		want   bool
		reason string
	}{
		{away, nil, true, "the CA cannot be reached"},
		{problem(500, "", 0), nil, true, "it fails"},
		{problem(503, "", time.Minute), nil, true, "it rests again and again"},
		{problem(429, acme.RateLimited, time.Minute), nil, true, "its limit is reached again and again"},
		{problem(500, acme.ServerInternal, 0), nil, true, "it fails, and says so"},
		{away, func(o *Order) { o.Failures = 1 }, false, "two failures are none: a connection may break"},
		{away, func(o *Order) { o.Failing = start.Add(-20 * time.Second) }, false, "it may be back in a moment"},
		{away, func(o *Order) { o.Need = 24 * time.Hour }, false, "a renewal that has days leaves its CA more time"},
		{away, func(o *Order) { o.Need = 24 * time.Hour; o.Failing = start.Add(-2 * time.Hour) }, true, "but not for ever"},
		{away, func(o *Order) { o.Failures, o.Tried = 0, []Attempt{{Account: "account"}} }, true, "nobody is waited for in a second round"},
		{away, func(o *Order) { o.Fallbacks = nil }, false, "there is no other"},
		{away, func(o *Order) { o.State = StateSubmitted }, false, "the CA has the order"},
		{problem(429, acme.RateLimited, time.Hour), func(o *Order) { o.Failures = 0 }, true, "a limit beyond the need, at once"},
		{problem(503, "", time.Hour), func(o *Order) { o.Failures = 0 }, true, "a rest beyond the need"},
		{problem(429, acme.RateLimited, time.Hour), func(o *Order) { o.Failures, o.Need = 0, 2*time.Hour }, false, "a limit within the need"},
		{Limited(errors.New("held"), time.Hour), func(o *Order) { o.Failures = 0 }, true, "a hold beyond the need"},
		{Limited(errors.New("held"), time.Minute), func(o *Order) { o.Failures = 0 }, false, "a hold within the need"},
		{Postpone(errors.New("held"), time.Hour), nil, false, "a hold because of names that were not proven"},
		{problem(404, acme.AccountDoesNotExist, 0), func(o *Order) { o.Failures = 0 }, true, "the account has gone"},
		{problem(403, acme.Unauthorized, 0), nil, false, "the CA judges"},
		{problem(403, acme.CAA, 0), nil, false, "the domain's owner does not want this CA, and perhaps none of ours"},
		{problem(400, acme.RejectedIdentifier, 0), nil, false, "the CA will not have the name"},
		{problem(400, acme.BadCSR, 0), nil, false, "the request is wrong everywhere"},
		{problem(403, acme.UserActionRequired, 0), nil, false, "a person has to act, and is to learn of it"},
		{fmt.Errorf("%w: strange", acme.ErrViolation), nil, false, "an answer that is not to be believed is for people to look at"},
		{errors.New("storage is away"), nil, false, "that is not the CA's fault"},
	} {
		o := New("1", "web", "account", start)
		o.Fallbacks, o.Failures, o.Failing = []string{"second"}, 6, start.Add(-time.Minute)
		if row.change != nil {
			row.change(o)
		}
		if got := o.turnsAfter(row.err, start); got != row.want {
			t.Errorf("%v: %t, but %s", row.err, got, row.reason)
		}
	}
}

// TestOrderOfFallbacks holds that accounts are asked in the order of the role, and
// then again, but for those that have gone.
func TestOrderOfFallbacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := New("1", "web", "a", start)
	o.Fallbacks, o.Replaces = []string{"b", "c"}, "certificate"
	given := o.Fallbacks
	gone := &acme.Problem{Status: http.StatusBadRequest, Type: acme.AccountDoesNotExist}
	held := Limited(errors.New("held"), time.Hour)
	var asked []string
	for i, err := range []error{held, gone, held, held, held} {
		asked = append(asked, o.Account)
		if !o.turnsAfter(err, start) {
			t.Fatalf("did not turn from %s", o.Account)
		}
		if o.turnAway(err, w.env()); i == 0 && o.Replaces != "" {
			t.Error("another CA is told of a certificate to be replaced")
		}
	}
	if asked = append(asked, o.Account); strings.Join(asked, "") != "abcaca" {
		t.Errorf("asked %v", asked)
	}
	if !slices.Equal(given, []string{"b", "c"}) {
		t.Errorf("the role's list has become %v", given)
	}
	if o.FirstAccount() != "a" || len(o.Tried) != 3 || o.Tried[1].Account != "b" {
		t.Errorf("began with %s, tried %v", o.FirstAccount(), o.Tried)
	}
	if o.Due.Sub(w.clock.now()) != backoff(3, 0) {
		t.Errorf("due in %s after the third return", o.Due.Sub(w.clock.now()))
	}
}

// TestPassOver holds which accounts are passed over before an order is stored.
func TestPassOver(t *testing.T) {
	t.Parallel()
	o := New("1", "web", "a", start)
	o.Fallbacks = []string{"b"}
	if o.PassOver("held", usualNeed, start) || o.Account != "a" || o.Tried != nil {
		t.Errorf("a hold that the order can wait for made it turn to %s", o.Account)
	}
	if !o.PassOver("held", usualNeed+1, start) || o.Account != "b" || o.FirstAccount() != "a" {
		t.Errorf("a hold that is too long: %s, tried %v", o.Account, o.Tried)
	}
	if o.PassOver("held", time.Hour, start) || o.Account != "b" {
		t.Error("went round in circles")
	}
	if o.SetNeed(time.Hour); o.need() != time.Hour {
		t.Errorf("needs to be served within %s", o.need())
	}
	if o.SetNeed(-time.Hour); o.need() != usualNeed {
		t.Errorf("a certificate that is over needs to be replaced within %s", o.need())
	}
}

// choosy is a CA without profiles, which counts what it was asked for.
type choosy struct {
	*fakeCA
	asked []string
}

// NewOrder implements CA.
func (c *choosy) NewOrder(ctx context.Context, wish acme.NewOrder) (acme.Order, error) {
	c.asked = append(c.asked, wish.Profile)
	if wish.Profile != "" {
		return acme.Order{}, NoProfile(errors.New("the CA offers no profiles"))
	}
	return c.fakeCA.NewOrder(ctx, wish)
}

// TestProfilesOfFallbacks holds that a profile is insisted on with the account that
// the order begins with, and asked for where there is one with the others.
func TestProfilesOfFallbacks(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		tried  []Attempt
		state  State
		asked  string
		reason string
	}{
		{nil, StateError, "short", "the role's own CA has no such profile: somebody must know"},
		{[]Attempt{{Account: "first"}}, StateSubmitted, "short ", "another CA has profiles of its own"},
	} {
		w := newWorld(t)
		ca := &choosy{fakeCA: w.ca}
		env := w.env()
		env.CA = ca
		o := w.add("www.example.com")
		o.Profile, o.Tried = "short", row.tried
		Advance(t.Context(), env, o)
		if o.State != row.state || strings.Join(ca.asked, " ") != row.asked {
			t.Errorf("%s: %s after asking for %q: %s", row.reason, o.State, ca.asked, o.LastError)
		}
		if noted := strings.Contains(o.Note, `no profile "short"`); noted != (row.tried != nil) {
			t.Errorf("%s: the note is %q", row.reason, o.Note)
		}
	}
}
