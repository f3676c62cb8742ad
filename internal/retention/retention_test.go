package retention

import (
	"testing"
	"testing/quick"
	"time"
)

const day = 24 * time.Hour

func TestWhen(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	expires := ended.Add(90 * day)
	forever := time.Time{}
	for _, row := range []struct {
		reason  string
		policy  Policy
		subject Subject
		want    time.Time
	}{
		{"it is at work", Defaults, Subject{Active: true, Ended: ended}, forever},
		{"at work, with a certificate that is not noted yet", Defaults, Subject{Active: true, Certified: true, NotAfter: expires}, forever},
		{"it failed: a week to find out why", Defaults, Subject{Ended: ended}, ended.Add(7 * day)},
		{"it was completed: a month after nobody can use it", Defaults, Subject{Certified: true, Ended: ended, NotAfter: expires}, expires.Add(30 * day)},
		{"nobody knows when the certificate expires", Defaults, Subject{Certified: true, Ended: ended}, forever},
		{"nobody knows when it ended", Defaults, Subject{}, forever},
		{"failed ones stay", Policy{Completed: day}, Subject{Ended: ended}, forever},
		{"failed ones stay, certificates do not", Policy{Completed: day}, Subject{Certified: true, Ended: ended, NotAfter: expires}, expires.Add(day)},
		{"certificates stay", Policy{Failed: day}, Subject{Certified: true, Ended: ended, NotAfter: expires}, forever},
		{"certificates stay, failed ones do not", Policy{Failed: day}, Subject{Ended: ended}, ended.Add(day)},
		{"a policy that is nonsense keeps", Policy{Failed: -day, Completed: -day}, Subject{Certified: true, Ended: ended, NotAfter: expires}, forever},
	} {
		if got := row.policy.When(row.subject); !got.Equal(row.want) {
			t.Errorf("%s: goes at %s, want %s", row.reason, got, row.want)
		}
	}
}

// TestNothingGoesEarly holds the two promises for whatever policy there is.
func TestNothingGoesEarly(t *testing.T) {
	t.Parallel()
	holds := func(failed, completed int32, active, certified bool, ended, lifetime uint16) bool {
		p := Policy{Failed: time.Duration(failed) * time.Second, Completed: time.Duration(completed) * time.Second}
		s := Subject{Active: active, Certified: certified, Ended: time.Unix(int64(ended), 0)}
		s.NotAfter = s.Ended.Add(time.Duration(lifetime) * time.Second)
		at := p.When(s)
		switch {
		case active:
			return at.IsZero()
		case at.IsZero():
			return certified && completed <= 0 || !certified && failed <= 0
		case certified && !at.After(s.NotAfter):
			return false
		}
		return at.After(s.Ended) && !at.Before(p.Earliest(s.Ended)) && !p.KeepsAll()
	}
	if err := quick.Check(holds, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
}

func TestEarliest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		reason string
		policy Policy
		want   time.Time
	}{
		{"it may fail at once", Defaults, now.Add(7 * day)},
		{"its certificate may be over at once", Policy{Failed: 9 * day, Completed: day}, now.Add(day)},
		{"only failed ones go", Policy{Failed: day}, now.Add(day)},
		{"only completed ones go", Policy{Completed: day}, now.Add(day)},
		{"nothing goes", Policy{}, time.Time{}},
	} {
		if got := row.policy.Earliest(now); !got.Equal(row.want) {
			t.Errorf("%s: %s, want %s", row.reason, got, row.want)
		}
	}
	if !(Policy{}).KeepsAll() || Defaults.KeepsAll() || (Policy{Failed: day}).KeepsAll() {
		t.Error("KeepsAll is wrong")
	}
}

func TestSooner(t *testing.T) {
	t.Parallel()
	a, b, never := time.Unix(1, 0), time.Unix(2, 0), time.Time{}
	for _, row := range [][3]time.Time{{a, b, a}, {b, a, a}, {never, b, b}, {b, never, b}, {never, never, never}} {
		if got := Sooner(row[0], row[1]); !got.Equal(row[2]) {
			t.Errorf("of %s and %s the sooner is %s", row[0], row[1], got)
		}
	}
}
