package order

import (
	"slices"
	"time"
)

// showable is how long after the last report, or else after the challenges were
// first shown, somebody may still be putting one in place that nobody has reported.
// An order whose caller has gone lives for a week at many CAs.
const showable = 24 * time.Hour

// Presents tells whether a proof of the order may be in place now, which another
// key of the account would make worthless (RFC 8555 §8.1): one that was reported or
// written, of which the CA has not said that it is done with it, or one that
// somebody outside has read and may be putting in place.
func (o *Order) Presents(now time.Time) bool {
	switch o.State {
	case StateFulfilling, StatePropagating, StateNotifying, StateProcessing:
		return true
	case StateAwaiting:
		reported := slices.ContainsFunc(o.Authorizations, func(a Authorization) bool { return a.Fulfilled != "" })
		return reported || now.Sub(o.Updated) < showable
	}
	return false
}
