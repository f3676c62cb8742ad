package order

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Attempt is an account whose CA could not take the order, and why.
type Attempt struct {
	Account string `json:"account"`
	Why     string `json:"why"`
	// At is when the order last turned away from it.
	At time.Time `json:"at"`
}

const (
	// usualNeed is how long an order can wait for its CA when nobody says otherwise:
	// for a first certificate.
	usualNeed = 10 * time.Minute
	// An account is given up for another one after fewestTries failures in a row,
	// and a patienceShare-th of what the order can wait: half a minute for a first
	// certificate.
	fewestTries, patienceShare = 3, 20
)

// SetNeed says how long the order can wait for a CA. It is never less than for a
// first certificate.
func (o *Order) SetNeed(d time.Duration) { o.Need = max(d, usualNeed) }

func (o *Order) need() time.Duration { return max(o.Need, usualNeed) }

// FirstAccount is the one that the order began with.
func (o *Order) FirstAccount() string {
	if len(o.Tried) > 0 {
		return o.Tried[0].Account
	}
	return o.Account
}

// Asked is the account that the last step was taken with, and so the one that
// [Order.Trouble] is about.
func (o *Order) Asked() string {
	if o.asked != "" {
		return o.asked
	}
	return o.Account
}

// limited is a failure that is due to a limit of the account's CA: another CA may
// not have it.
type limited struct{ error }

func (l limited) Unwrap() error { return l.error }

// Limited makes a failure like [Postpone], after which the order may turn to
// another account: it is this CA that has a limit.
func Limited(err error, by time.Duration) error { return limited{Postpone(err, by)} }

// PassOver turns an order that nobody has seen yet away from an account that is held
// back for longer than the order can wait. It returns false when that is short
// enough, or no account is left that was not tried.
func (o *Order) PassOver(why string, wait time.Duration, now time.Time) bool {
	if wait <= o.need() || len(o.Fallbacks) == 0 || o.hasTried(o.Fallbacks[0]) {
		return false
	}
	o.turn(why, true, now)
	return true
}

// turnsAfter decides whether the order turns to another account after a failure.
// That is for CAs that cannot be asked, have a fault, or want to be left alone for
// longer than the order can wait; never for what a CA says about the names or the
// request, which another CA must not be tried with.
func (o *Order) turnsAfter(err error, now time.Time) bool {
	if o.State != StateNew || len(o.Fallbacks) == 0 {
		return false
	}
	switch limit := is[limited](err) || is[*acme.Problem](err) && acme.Temporary(err); {
	case acme.IsProblem(err, acme.AccountDoesNotExist):
		return true // it is not there any more: nobody else's names are judged by that
	case limit && postponement(err) > o.need():
		return true
	case !limit && !is[*acme.Unreachable](err):
		return false
	case o.hasTried(o.Account):
		return true
	}
	return o.Failures+1 >= fewestTries && now.Sub(o.Failing) >= o.need()/patienceShare
}

func (o *Order) hasTried(account string) bool {
	return slices.ContainsFunc(o.Tried, func(a Attempt) bool { return a.Account == account })
}

// turnAway has the order go on with the next account. When all have been tried it
// begins again with the first, and pauses longer each time: they are all away.
func (o *Order) turnAway(err error, env Env) {
	from, now := o.Account, env.Now()
	o.turn(err.Error(), !acme.IsProblem(err, acme.AccountDoesNotExist), now)
	o.Tries, o.Failures, o.Failing = 0, 0, time.Time{}
	o.LastError = fmt.Sprintf("ACME account %q: %s; turning to ACME account %q", from, err, o.Account)
	var pause time.Duration
	if o.hasTried(o.Account) {
		o.Rounds++
		pause = backoff(o.Rounds, env.Jitter())
	}
	o.dueAfter(pause, now)
}

// turn puts the next account in the place of the present one, which comes last from
// now on, if it stays. Another CA does not know what is to be replaced (RFC 9773 §5).
func (o *Order) turn(why string, stays bool, now time.Time) {
	tried := Attempt{o.Account, why, now}
	if i := slices.IndexFunc(o.Tried, func(a Attempt) bool { return a.Account == o.Account }); i >= 0 {
		o.Tried[i] = tried
	} else {
		o.Tried = append(o.Tried, tried)
	}
	next := o.Fallbacks[0]
	o.Fallbacks = slices.Clone(o.Fallbacks[1:])
	if stays {
		o.Fallbacks = append(o.Fallbacks, o.Account)
	}
	o.Account, o.Replaces = next, ""
}

// newOrder asks for an order with the profile, if the order wants one. An account
// that the order has turned to may be at a CA that has no such profile: names of
// profiles are each CA's own, so it is asked for what it gives by itself.
func (o *Order) newOrder(ctx context.Context, env Env, wish acme.NewOrder) (acme.Order, error) {
	at, err := env.CA.NewOrder(ctx, wish)
	if o.Account == o.FirstAccount() || wish.Profile == "" || !is[noProfile](err) {
		return at, err
	}
	wish.Profile = ""
	if at, err = env.CA.NewOrder(ctx, wish); err == nil {
		o.Note = fmt.Sprintf("the CA of ACME account %q has no profile %q and was asked for none", o.Account, o.Profile)
	}
	return at, err
}

// noProfile is the refusal of a profile that a CA does not have.
type noProfile struct{ error }

func (n noProfile) Unwrap() error { return n.error }

// NoProfile makes a refusal like [Refuse]: the CA does not have the profile.
func NoProfile(err error) error { return noProfile{Refuse("%w", err)} }
