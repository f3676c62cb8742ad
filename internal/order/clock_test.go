package order

import "time"

// start is when every story begins.
var start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// clock stands still until it is moved.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{start} }

func (c *clock) now() time.Time { return c.at }

// forwardTo moves the clock, never back.
func (c *clock) forwardTo(t time.Time) {
	if t.After(c.at) {
		c.at = t
	}
}

// offset writes a time as the distance from the beginning.
func offset(t time.Time) string { return "+" + t.Sub(start).String() }
