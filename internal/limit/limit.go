// Package limit decides when a CA may be asked for an order again, after it has
// said that it will not have more of them.
//
// A [Verdict] is what a failure means for orders to come: nothing, or that the
// same identifiers would fail again, or that the whole account is to be left
// alone. A [Hold] is how long new orders are kept back for that. It grows with
// every failure in a row, and a success ends it, so that a client which orders
// in a loop cannot use up what the CA allows (Let's Encrypt's integration guide
// asks for waits of 1, 10 and 100 minutes, and then of a day).
//
// Nothing is kept back because a CA cannot be reached, or because of a mistake
// that is the caller's to mend: those are told to the caller at once.
//
// The package stores nothing and asks no clock.
package limit

import (
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Scope is what a verdict is about.
type Scope int

// The scopes.
const (
	None Scope = iota
	// Set is exactly these identifiers with this account.
	Set
	// Account is everything that is ordered with this account.
	Account
)

// Verdict is what a failure means for orders to come.
type Verdict struct {
	Scope Scope
	// Wait is how long the CA itself asks to be left alone; 0 when it did not say.
	Wait time.Duration
	// Busy tells that the CA has too much to do (503), and nobody has reached a limit.
	Busy bool
	// Human tells that a person has to act at the CA before it is of use to ask again.
	Human bool
}

// Hold is a time during which new orders are kept back. The zero value keeps
// nothing back.
type Hold struct {
	// Since is when the first failure in a row was, Last when the last was.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	// Until is when an order is taken again. The spread is in it already, so that
	// everybody who asks is told the same.
	Until time.Time `json:"until"`
	// Count is the number of failures in a row.
	Count int `json:"count"`
	// Why is the last failure in the CA's words.
	Why string `json:"why"`
	// Order is the one that failed last. With Waiting it is to ask again itself.
	Order   string `json:"order,omitempty"`
	Waiting bool   `json:"waiting,omitempty"`
	Busy    bool   `json:"busy,omitempty"`
	Human   bool   `json:"human,omitempty"`
}

// Failure is one failure of an order.
type Failure struct {
	Verdict
	Why   string
	Order string
	// Placed is when the order was. One that was on its way when another failed
	// is no repetition of it.
	Placed time.Time
	// Waiting tells that the order is still alive and will ask again.
	Waiting bool
}

const (
	// firstRest is how long an account rests that was refused without a word of
	// how long; doubled with every refusal in a row.
	firstRest   = 10 * time.Second
	longestRest = time.Hour
	// day is the longest wait that is not the CA's own wish. A person who has acted
	// at the CA without lifting the hold here waits no longer either.
	day = 24 * time.Hour
	// probation is how long after a hold's end the next failure counts as one in a row.
	probation = 8 * day
	// mostWhy bounds the CA's words, in bytes.
	mostWhy = 1000
)

// ladder is how long identifiers are kept back after each failure in a row.
var ladder = []time.Duration{time.Minute, 10 * time.Minute, 100 * time.Minute, day}

// InForce tells whether new orders are kept back. A failure that is yet to come
// shows that the clock was set back since: its hold would last until the clock
// shows that time again, so it counts no more.
func (h *Hold) InForce(now time.Time) bool { return now.Before(h.Until) && !h.ahead(now) }

// ahead tells that the last failure is yet to come.
func (h *Hold) ahead(now time.Time) bool { return h.Last.After(now) }

// Elsewhere tells whether another CA may take what is held back: it is a limit of
// this one, which it has told to an order that still waits. Of names that were not
// proven, or that it will not have, another one is not to be asked.
func (h *Hold) Elsewhere() bool { return h.Waiting && !h.Human }

// Binds tells whether an order that is under way is kept back. One that has ended
// by what led to the hold is not: that it is under way still shows that a crash
// came between the two records, and it is to end now.
func (h *Hold) Binds(id string, now time.Time) bool {
	return h.InForce(now) && (h.Order != id || h.Waiting)
}

// Stale tells whether a hold has been over for so long that it means nothing any
// more: the next failure would be the first.
func (h *Hold) Stale(now time.Time) bool { return !now.Before(h.Until.Add(probation)) }

// After gives the hold after another failure. jitter is in [0,1).
//
// A failure that was on its way when the hold began may lengthen it, but does not
// count: ten orders that fail together are no ten attempts.
func (h *Hold) After(f Failure, now time.Time, jitter float64) Hold {
	next := *h
	if h.first(now) {
		next = Hold{Since: now}
	}
	if !h.concurrent(f, now) {
		next.Count++
	}
	if until := now.Add(next.length(f, jitter)); until.After(next.Until) {
		next.Until = until
	}
	next.Last, next.Order, next.Waiting, next.Busy, next.Human = now, f.Order, f.Waiting, f.Busy, f.Human
	next.Why = strings.ToValidUTF8(f.Why[:min(len(f.Why), mostWhy)], "")
	return next
}

// first tells that another failure would be the first in a row. Nothing can be
// counted on from one that is yet to come.
func (h *Hold) first(now time.Time) bool { return h.Count == 0 || h.Stale(now) || h.ahead(now) }

// concurrent tells whether a failure is no repetition of the last one. An order
// that waits asks again when the hold is over, however long ago it was placed.
func (h *Hold) concurrent(f Failure, now time.Time) bool {
	if h.first(now) {
		return false
	}
	if f.Waiting {
		return h.InForce(now)
	}
	return !f.Placed.After(h.Last)
}

// length is how long to hold after the failure that was counted last. What the
// CA asks for is kept to, and not spread: it has spread it itself.
func (h *Hold) length(f Failure, jitter float64) time.Duration {
	if f.Wait > 0 && f.Waiting {
		return f.Wait
	}
	var own time.Duration
	switch {
	case f.Human:
		own = day
	case f.Scope == Account || f.Waiting:
		own = min(firstRest<<min(h.Count-1, 16), longestRest)
	default:
		own = ladder[min(h.Count, len(ladder))-1]
	}
	return max(own+time.Duration(jitter*float64(own)/5), f.Wait)
}

// names are the problems that say something about an order's identifiers (RFC 8555
// §6.7). Others are about the request, the account or the CA.
var names = map[string]bool{
	acme.CAA: true, acme.Connection: true, acme.DNSProblem: true, acme.IncorrectResponse: true,
	acme.RejectedIdentifier: true, acme.TLS: true, acme.UnsupportedIdentifier: true,
}
