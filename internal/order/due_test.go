package order

import (
	"testing"
	"time"
)

// TestDueAt holds that a clock which is set back delays nobody for long.
func TestDueAt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		due    time.Duration // after the record was written
		now    time.Duration // likewise
		want   time.Duration
		reason string
	}{
		{time.Minute, 0, time.Minute, "written just now"},
		{time.Minute, time.Second, time.Minute, "a minute is not over"},
		{time.Minute, time.Hour, time.Minute, "it is long due"},
		{time.Minute, -time.Hour, -time.Hour, "the clock was set back: at once, not in an hour and a minute"},
		{90 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, "the clock had been years ahead when the record was written"},
	} {
		o := &Order{Updated: start, Due: start.Add(row.due)}
		if got := o.DueAt(start.Add(row.now)); !got.Equal(start.Add(row.want)) {
			t.Errorf("%s: due at %s, want +%s", row.reason, offset(got), row.want)
		}
	}
	o := &Order{Updated: start}
	if got := o.DueAt(start.Add(-time.Hour)); !got.IsZero() {
		t.Errorf("an order that nothing will happen to is due at %s", got)
	}
}
