package renewal

import "time"

// Window is the time in which a CA would have a certificate renewed (RFC 9773
// §4.2). The zero Window is none.
type Window struct {
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
}

// Valid tells whether it is a window: one that ends before it begins has to be
// taken for no answer (RFC 9773 §4.2).
func (w Window) Valid() bool { return w.Start.Before(w.End) }

func (w Window) is(other Window) bool { return w.Start.Equal(other.Start) && w.End.Equal(other.End) }

// choose picks a time in the window, evenly by random in [0,1), so that what was
// issued together is not renewed together (RFC 9773 §4.2). A window that is over
// means at once. What of an open window lies in the first tenth of the
// certificate's life, or where nobody takes it any more, is left out: a CA that
// suggests the whole life of a certificate would have it renewed again and again,
// or too late.
func (w Window) choose(l Life, now time.Time, random float64) time.Time {
	if !w.End.After(now) {
		return now
	}
	start := later(w.Start, l.earliest())
	end := earlier(w.End, l.stale())
	if !start.Before(end) {
		return earlier(start, l.stale())
	}
	return start.Add(time.Duration(random * float64(end.Sub(start))))
}

// Bounds of how often a CA is asked for a window (RFC 9773 §4.3).
const (
	leastPause  = time.Minute
	mostPause   = 24 * time.Hour
	usualPause  = 6 * time.Hour // when it does not say, or cannot be asked
	failedPause = 6 * time.Hour
	absentPause = 24 * time.Hour // when it gives no such information
)

// Advice is what a CA has said about the renewal of a certificate.
type Advice struct {
	Window Window `json:"window,omitzero"`
	// Chosen is the time in the window at which to renew. It is chosen once for
	// each window: choosing at every answer would move it on for ever.
	Chosen time.Time `json:"chosen,omitzero"`
	// Explanation is a page for a human that says why, "" without one.
	Explanation string `json:"explanation,omitempty"`
	// Ask is when to ask again.
	Ask time.Time `json:"ask,omitzero"`
	// Asked is when the CA was asked last.
	Asked time.Time `json:"asked,omitzero"`
}

// Due is when to ask. A question that is yet to come shows that the clock was set
// back since, and what was reckoned from it means nothing.
func (a *Advice) Due(now time.Time) time.Time {
	if a.Asked.After(now) {
		return now
	}
	return a.Ask
}

// Heard takes over an answer of the CA, which wants to be asked again after a
// time (0 when it did not say). random is in [0,1).
func (a *Advice) Heard(w Window, explanation string, after time.Duration, l Life, now time.Time, random float64) {
	if after == 0 {
		after = usualPause
	}
	a.Asked, a.Ask = now, now.Add(min(max(after, leastPause), mostPause))
	a.Explanation = explanation
	switch {
	case !w.Valid():
		a.Window, a.Chosen = Window{}, time.Time{}
	case !w.is(a.Window):
		a.Window, a.Chosen = w, w.choose(l, now, random)
	}
}

// Unheard notes that the CA gave no answer. The window that is known stays. One
// that does not offer such information is asked less often: it may one day.
func (a *Advice) Unheard(now time.Time, offered bool) {
	a.Asked, a.Ask = now, now.Add(failedPause)
	if !offered {
		a.Ask = now.Add(absentPause)
	}
}
