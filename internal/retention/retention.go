// Package retention decides how long an order is kept that has ended.
//
// It is arithmetic alone: it reads no clock and deletes nothing. What it
// promises is that nothing goes that somebody may still be served: an order
// that has not ended, or a certificate that has not expired.
package retention

import "time"

// Policy is how long finished orders are kept. A part that is zero, or less,
// keeps its orders for ever, and so the zero Policy keeps everything.
type Policy struct {
	// Failed is for orders that ended without a certificate, from their end.
	Failed time.Duration `json:"failed,omitempty"`
	// Completed is for orders that have a certificate, revoked ones included,
	// from when it expires.
	Completed time.Duration `json:"completed,omitempty"`
}

// Defaults is what holds where an operator has not said otherwise.
var Defaults = Policy{Failed: 7 * 24 * time.Hour, Completed: 30 * 24 * time.Hour}

// Longest bounds both parts of a policy: a century, so that sums of times stay
// times.
const Longest = 100 * 365 * 24 * time.Hour

// Subject is an order as the policy sees it.
type Subject struct {
	// Active tells that it has not ended.
	Active bool
	// Certified tells that it has a certificate.
	Certified bool
	// Ended is when it ended.
	Ended time.Time
	// NotAfter is when its certificate expires; zero when that is not known.
	NotAfter time.Time
}

// KeepsAll tells that nothing ever goes.
func (p Policy) KeepsAll() bool { return p.Failed <= 0 && p.Completed <= 0 }

// When gives the earliest time at which an order may go; zero means never, as
// long as neither the order nor the policy changes.
func (p Policy) When(s Subject) time.Time {
	switch {
	case s.Active:
		return time.Time{}
	case s.Certified:
		return after(s.NotAfter, p.Completed)
	}
	return after(s.Ended, p.Failed)
}

func after(t time.Time, keep time.Duration) time.Time {
	if t.IsZero() || keep <= 0 {
		return time.Time{}
	}
	return t.Add(keep)
}

// Earliest gives a time before which nothing may go that has not ended at a
// moment, whatever becomes of it; zero means never. A certificate that is
// issued later is valid for a while, if only a short one.
func (p Policy) Earliest(moment time.Time) time.Time {
	return Sooner(after(moment, p.Failed), after(moment, p.Completed))
}

// Sooner gives the earlier of two times, of which zero is never.
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
