package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// State is where an order stands, as it is stored.
type State string

// The states. Three of them are one state to clients, see [State.Status].
const (
	StateNew         State = "new"
	StateSubmitted   State = "submitted"
	StateAwaiting    State = "awaiting-challenge-fulfillment"
	StateFulfilling  State = "vault-challenge-fulfillment"
	StatePropagating State = "vault-challenge-propagating"
	StateNotifying   State = "notify-acme-server-challenges-completed"
	StateProcessing  State = "processing-challenge"
	StateKeying      State = "keying"
	StateFinalizing  State = "finalizing"
	StateCollecting  State = "collecting"
	StateCompleted   State = "completed"
	StateExpired     State = "expired"
	StateRevoked     State = "revoked"
	StateError       State = "error"
)

// statusFetching is what clients see from the validation to the certificate.
const statusFetching = "fetching-certificate"

// Description is one row of the table of states.
type Description struct {
	// Status is what clients see, with hyphens.
	Status string
	// Means says what is true of an order in this state.
	Means string
	// Does says what the step does; empty for a final state.
	Does string
	// Next lists where the step may lead, besides error and expired.
	Next []State
	// Stored says whether an order that has got here is stored before its step.
	Stored Storing
	step   step
}

// Storing says whether an order that has entered a state is stored before the step
// of the state is taken. What a step announces to somebody outside must be: a
// crash must not make us forget what others know. Where a step only reads, a crash
// may cost a repetition.
type Storing struct {
	First bool
	// Because names what is to be found after a crash, or what a crash costs.
	Because string
}

func first(because string) Storing { return Storing{First: true, Because: because} }

func later(because string) Storing { return Storing{Because: because} }

// Life is every state of an order: the one place that knows what follows what.
// A state without a step is final; only a caller's wish (revocation) leads out.
var Life map[State]Description

func init() {
	Life = map[State]Description{
		StateNew: {
			Status: "new", Means: "The order is stored here; the CA does not know it yet.",
			Does: "asks the CA for an order", step: submit,
			Next:   []State{StateSubmitted, StateKeying, StateCollecting},
			Stored: first("it is the caller's wish"),
		},
		StateSubmitted: {
			Status: "submitted", Means: "The CA has the order.",
			Does: "reads what the CA wants proven", step: readAuthorizations,
			Next:   []State{StateAwaiting, StateFulfilling, StateKeying},
			Stored: later("a crash asks the CA for the order anew"),
		},
		StateAwaiting: {
			Status: "awaiting-challenge-fulfillment", Means: "Challenges can be read; one for each identifier is to be put in place and reported.",
			Does: "waits for the reports", step: awaitFulfillment,
			Next:   []State{StateFulfilling, StateNotifying},
			Stored: first("the challenges are read from it"),
		},
		StateFulfilling: {
			Status: "vault-challenge-fulfillment", Means: "Every challenge that is not Vault's own has been reported.",
			Does: "writes the TXT records; what the HTTP-01 relay answers needs no preparation", step: writeProofs,
			Next:   []State{StateAwaiting, StatePropagating, StateNotifying},
			Stored: first("a TXT record is to be removed again, whatever happens"),
		},
		StatePropagating: {
			Status: "vault-challenge-propagating", Means: "The TXT records are written.",
			Does: "waits until they can be seen", step: awaitPropagation,
			Next:   []State{StateFulfilling, StateNotifying},
			Stored: later("a crash writes the TXT records once more"),
		},
		StateNotifying: {
			Status: "notify-acme-server-challenges-completed", Means: "Every identifier has its challenge in place.",
			Does: "tells the CA to look", step: answer,
			Next:   []State{StateFulfilling, StateProcessing},
			Stored: first("which challenge the CA was told of cannot be chosen again"),
		},
		StateProcessing: {
			Status: "processing-challenge", Means: "The CA is validating.",
			Does: "reads the order until it is ready", step: awaitValidation,
			Next:   []State{StateKeying, StateCollecting},
			Stored: first("the CA was told, and needs the time anyway"),
		},
		StateKeying: {
			Status: statusFetching, Means: "The CA is ready to certify.",
			Does: "makes and stores the key and the CSR", step: makeRequest,
			Next:   []State{StateFinalizing},
			Stored: later("a crash reads the order once more"),
		},
		StateFinalizing: {
			Status: statusFetching, Means: "Key and CSR are stored.",
			Does: "sends the CSR to the CA", step: finalize,
			Next:   []State{StateKeying, StateProcessing, StateCollecting},
			Stored: first("a certificate without its key is lost"),
		},
		StateCollecting: {
			Status: statusFetching, Means: "The CA has the CSR.",
			Does: "reads the order until it is valid, downloads, checks and stores the certificate", step: collect,
			Next:   []State{StateFinalizing, StateCompleted},
			Stored: later("after a crash the order is read before the CSR would be sent"),
		},
		StateCompleted: {Status: "completed", Means: "The certificate is stored and can be fetched.", Stored: first("it is the result")},
		StateExpired:   {Status: "expired", Means: "The order ran out of time at the CA, or was not finished by its deadline.", Stored: first("it is the result")},
		StateRevoked:   {Status: "revoked", Means: "The certificate was revoked through Vault.", Stored: first("it is the result")},
		StateError:     {Status: "error", Means: "The CA refused the order; the last error says why.", Stored: first("it is the result")},
	}
}

// States lists all states in the order of an order's life.
var States = []State{
	StateNew, StateSubmitted, StateAwaiting, StateFulfilling, StatePropagating, StateNotifying, StateProcessing, StateKeying,
	StateFinalizing, StateCollecting, StateCompleted, StateExpired, StateRevoked, StateError,
}

// Status is the state as clients compare it, with hyphens.
func (s State) Status() string { return Life[s].Status }

// LegacyStatus is the state with underscores, as early documents write it.
func (s State) LegacyStatus() string { return strings.ReplaceAll(s.Status(), "-", "_") }

// step takes an order one step on. It changes o, and returns where to go or
// how long to stay.
type step func(ctx context.Context, env Env, o *Order) (move, error)

// move is what a step decided: the next state, or the same, and when its step
// is due.
type move struct {
	to    State
	after time.Duration
	// because is shown as the last error until the next step.
	because string
}

func moveTo(s State) (move, error) { return move{to: s}, nil }

// stay keeps the order where it is for a while.
func (o *Order) stay(after time.Duration) (move, error) {
	return move{to: o.State, after: after}, nil
}

// stayBecause is stay with a reason that people should see.
func (o *Order) stayBecause(why string, after time.Duration) (move, error) {
	return move{to: o.State, after: after, because: why}, nil
}

// Advance takes one step. It neither sleeps nor stores: the caller stores the
// order, unless it is [Order.Passing], and comes back at o.Due with the same
// order, or with what was stored last. It returns false when there is nothing to
// store: the state is final, or ctx ended meanwhile. In the latter case o may
// hold half a step and must be thrown away.
//
// Refusal, retry, patience and expiry are decided here for all steps.
func Advance(ctx context.Context, env Env, o *Order) bool {
	o.Trouble, o.asked = nil, o.Account
	at, known := Life[o.State]
	if !known {
		o.finish(StateError, fmt.Sprintf("the stored order is in the unknown state %q", o.State), env.Now())
		return true
	}
	if at.step == nil {
		return false
	}
	if env.Now().After(o.Deadline) {
		why := o.expiry(ctx, env)
		o.finish(StateExpired, why, env.Now())
		return ctx.Err() == nil
	}
	m, err := at.step(ctx, env, o)
	if ctx.Err() != nil {
		return false
	}
	o.apply(at, m, err, env)
	return true
}

// Passing tells that an order need not be stored after a step. It goes on within a
// moment, from a state in which a crash may find it one step or a few back, and
// has nothing to say to whoever looks at it meanwhile.
func (o *Order) Passing(now time.Time) bool {
	return !o.Final() && !Life[o.State].Stored.First && o.LastError == "" && o.Due.Sub(now) <= briefly
}

func (o *Order) apply(at Description, m move, err error, env Env) {
	now := env.Now()
	o.Updated, o.Trouble = now, err
	switch {
	case err != nil && o.gone(err) && o.Failures >= lagTries:
		o.finish(StateExpired, "the CA does not know the order any more: "+err.Error(), now)
	case err != nil && o.turnsAfter(err, now):
		o.turnAway(err, env)
	case err != nil && final(err) && !o.gone(err):
		o.finish(StateError, err.Error(), now)
	case err != nil:
		o.retry(err, env)
	case m.to == o.State:
		o.Failures = 0
		o.pause(m.after, m.because, now)
	case !slices.Contains(at.Next, m.to):
		o.finish(StateError, fmt.Sprintf("an order may not go from %q to %q", o.State, m.to), now)
	default:
		o.enter(m, env)
	}
}

// refused is the error of a step after which trying again is useless, where it
// is not a refusal of the CA's (an *acme.Problem) anyway.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// Refuse makes an error that ends the order it is about: trying again is useless
// until somebody changes something.
func Refuse(format string, args ...any) error { return refused{fmt.Errorf(format, args...)} }

// marked is an error that is also another, of which its text says nothing.
type marked struct {
	error
	as error
}

func (m marked) Unwrap() []error { return []error{m.error, m.as} }

// Refused tells whether err is, or wraps, one that [Refuse] made.
func Refused(err error) bool { return is[refused](err) }

// postponed is a failure after which a service wants to be left alone.
type postponed struct {
	error
	by time.Duration
}

func (p postponed) Unwrap() error { return p.error }

// Postpone makes a failure after which the step is not repeated before a service
// wants to hear of it again.
func Postpone(err error, by time.Duration) error { return postponed{err, by} }

func postponement(err error) time.Duration {
	if p, ok := errors.AsType[postponed](err); ok {
		return p.by
	}
	return acme.RetryAfter(err)
}

// notYet is the error of a step that is to be tried again though the CA refuses.
type notYet struct{ error }

func (n notYet) Unwrap() error { return n.error }

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// final tells a refusal from a failure that may pass. An error that is neither
// (of storage, say) is tried again: it must not cost anybody an order.
func final(err error) bool {
	switch {
	case is[notYet](err):
		return false
	case is[refused](err), errors.Is(err, acme.ErrViolation):
		return true
	}
	return is[*acme.Problem](err) && !acme.Temporary(err)
}

// gone tells that the CA has deleted the order or an authorization of it, as it
// may once it is over (RFC 8555 §7.1.3). It is to be believed when it has been
// said several times: right after newOrder a CA with several databases may not
// find what it has just made.
func (o *Order) gone(err error) bool {
	return !is[notYet](err) && o.URL != "" && acme.Gone(err) && !acme.IsProblem(err, acme.AccountDoesNotExist)
}

// during says what was being done when err came up, unless err says so itself.
func during(what string, err error) error {
	if is[*acme.Unreachable](err) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (o *Order) retry(err error, env Env) {
	if o.Failures++; o.Failures == 1 {
		o.Failing = env.Now()
	}
	o.pause(max(backoff(o.Failures, env.Jitter()), postponement(err)), err.Error(), env.Now())
}

// pause makes the order due again in the same state, at the latest when it is
// to be given up.
func (o *Order) pause(d time.Duration, why string, now time.Time) {
	o.Tries++
	o.LastError = why
	o.dueAfter(d, now)
}

func (o *Order) dueAfter(d time.Duration, now time.Time) {
	o.Due = now.Add(d)
	if last := o.Deadline.Add(time.Second); o.Due.After(last) {
		o.Due = last
	}
}

// enter moves the order to another state. The way back waits, longer each time:
// a CA whose answers contradict each other would otherwise be asked in circles
// as fast as it answers.
func (o *Order) enter(m move, env Env) {
	back := slices.Index(States, m.to) < slices.Index(States, o.State)
	o.State, o.LastError, o.Tries, o.Failures = m.to, m.because, 0, 0
	if o.Final() {
		o.Due = time.Time{}
		return
	}
	if back {
		o.Setbacks++
		m.after = max(m.after, backoff(o.Setbacks, env.Jitter()))
	}
	o.dueAfter(m.after, env.Now())
}

// Abandon ends an order because of something outside its own life: its role
// was deleted, say. An order that has ended already stays what it is.
func (o *Order) Abandon(why string, now time.Time) {
	if !o.Final() {
		o.finish(StateError, why, now)
	}
}

// MarkRevoked notes that the CA has revoked the certificate.
func (o *Order) MarkRevoked(now time.Time) { o.finish(StateRevoked, "", now) }

func (o *Order) finish(s State, why string, now time.Time) {
	o.State, o.LastError, o.Updated = s, why, now
	o.Tries, o.Failures, o.Due = 0, 0, time.Time{}
}

// expiry says why an order that ran out of time had not come further. A CA may
// keep an order pending though a validation has failed, and only the
// authorizations know.
func (o *Order) expiry(ctx context.Context, env Env) string {
	why := "not finished by " + o.Deadline.UTC().Format(time.RFC3339)
	if o.State == StateAwaiting {
		why += ": no challenge was reported as fulfilled for " + strings.Join(o.Unreported(), ", ")
	}
	if o.LastError != "" {
		why += "; last error: " + o.LastError
	}
	if o.State == StateProcessing {
		why = strings.Join(append([]string{why}, o.causes(ctx, env)...), "; ")
	}
	return why
}
