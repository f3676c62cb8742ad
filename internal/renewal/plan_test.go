package renewal_test

import (
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

// quarter is a certificate of ninety days.
var quarter = renewal.Life{NotBefore: issued, NotAfter: issued.Add(90 * day)}

func after(d time.Duration) time.Time { return issued.Add(d) }

func TestAt(t *testing.T) {
	t.Parallel()
	suggested := renewal.Advice{Chosen: after(50 * day)}
	for _, test := range []struct {
		plan   renewal.Plan
		policy renewal.Policy
		want   time.Duration
		reason string
	}{
		{renewal.Plan{Life: quarter}, renewal.Policy{}, 60 * day, "two thirds of its life"},
		{renewal.Plan{Life: quarter, Spread: 0.5}, renewal.Policy{}, 60*day + 90*day/100, "drawn apart by up to a fiftieth of its life"},
		{renewal.Plan{Life: quarter, Spread: 0.5, Advice: suggested}, renewal.Policy{}, 50 * day, "what the CA suggests is spread already"},
		{renewal.Plan{Life: quarter, Spread: 0.5}, renewal.Policy{Before: 10 * day}, 80*day - 90*day/100, "an operator's wish, and not later"},
		{renewal.Plan{Life: quarter}, renewal.Policy{Percentage: 50}, 45 * day, "the same in per cent"},
		{renewal.Plan{Life: quarter, Advice: suggested}, renewal.Policy{Before: 10 * day}, 50 * day, "the CA may know of a revocation to come"},
		{renewal.Plan{Life: quarter, Advice: suggested}, renewal.Policy{Before: 70 * day}, 20 * day, "the operator may be earlier than the CA"},
		{renewal.Plan{Life: quarter}, renewal.Policy{Before: 365 * day}, 9 * day, "a wish that would have it renewed again and again"},
		{renewal.Plan{Life: quarter, Spread: 0.5}, renewal.Policy{Before: 365 * day}, 9*day + 90*day/100, "and not all together"},
		{renewal.Plan{Life: quarter}, renewal.Policy{Before: time.Minute}, 90*day - 90*day/20, "a wish that leaves no time for a failure"},
		{renewal.Plan{Life: quarter, Advice: renewal.Advice{Chosen: after(300 * day)}}, renewal.Policy{}, 90*day - 90*day/20, "a suggestion to renew after the end"},
	} {
		if got := test.plan.At(test.policy).Sub(issued); got != test.want {
			t.Errorf("%+v %+v: renewed after %s, want %s: %s", test.plan, test.policy, got, test.want, test.reason)
		}
	}
}

func TestNextWaitsAfterAFailure(t *testing.T) {
	t.Parallel()
	p := renewal.New(quarter, issued, issued, 0)
	p.Failed("the CA is away", after(61*day), 0)
	if got := p.Next(renewal.Policy{}, after(61*day)).Sub(issued); got != 61*day+time.Minute || p.LastError != "the CA is away" || p.Failures != 1 {
		t.Errorf("%s, %+v", got, p)
	}
	if p.Overdue(renewal.Policy{}, after(61*day)) || !p.Overdue(renewal.Policy{}, after(62*day)) {
		t.Error("a renewal is overdue when it should have been done more than a fiftieth of the life ago")
	}
}

// TestNextWhenHeld holds that a wait that somebody else has set is no failure: after
// a limit of hours a renewal must not rest for a day.
func TestNextWhenHeld(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		until  time.Duration
		random float64
		want   time.Duration
		reason string
	}{
		{61*day + 20*time.Minute, 0, 61*day + 20*time.Minute, "when the hold ends"},
		{61*day + 20*time.Minute, 0.5, 61*day + 50*time.Minute, "a little later, each at another time"},
		{62 * day, 0, 61*day + time.Hour, "an operator may have lifted it: it is looked at every hour"},
		{60 * day, 0, 61*day + time.Minute, "it has just ended: not at once again"},
	} {
		p := renewal.New(quarter, issued, issued, 0)
		for range 10 {
			p.Held("a limit", after(test.until), after(61*day), test.random)
		}
		if got := p.Next(renewal.Policy{}, after(61*day)).Sub(issued); got != test.want || p.Failures != 0 || p.LastError != "a limit" {
			t.Errorf("%s: %s, %+v", test.reason, got, p)
		}
	}
}

// TestClockSetBack holds that what was reckoned from a clock that was ahead does
// not stop renewals until the clock shows that time again.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	now := after(61 * day)
	p := renewal.New(quarter, issued, issued, 0)
	p.Failed("the CA is away", now.Add(365*day), 0)
	p.Advice.Unheard(now.Add(365*day), true)
	if next, ask := p.Next(renewal.Policy{}, now), p.Advice.Due(now); next.After(now) || ask.After(now) {
		t.Errorf("after the clock was set back by a year it is renewed at %s, and the CA is asked at %s", next, ask)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failures int
		left     time.Duration
		jitter   float64
		want     time.Duration
		reason   string
	}{
		{1, 30 * day, 0, time.Minute, "a fault that passes"},
		{2, 30 * day, 0, 10 * time.Minute, ""},
		{3, 30 * day, 0, 100 * time.Minute, ""},
		{4, 30 * day, 0, day, "a fault that somebody has to mend"},
		{99, 30 * day, 0, day, "never less often than daily"},
		{99, 30 * day, 0.5, day + day/10, "not all at the same hour of the day"},
		{4, 2 * day, 0, 6 * time.Hour, "faster as the end comes nearer"},
		{4, time.Hour, 0, 450 * time.Second, "likewise"},
		{4, time.Minute, 0, time.Minute, "but no storm"},
		{4, -day, 0, time.Hour, "what has expired is missed"},
		{0, 30 * day, 0, time.Minute, "no failure at all is taken for one"},
	} {
		if got := renewal.Backoff(test.failures, test.left, test.jitter); got != test.want {
			t.Errorf("after %d failures, %s before the end: %s, want %s: %s", test.failures, test.left, got, test.want, test.reason)
		}
	}
}

func TestLetGo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		policy renewal.Policy
		unused time.Duration
		want   bool
		reason string
	}{
		{renewal.Policy{}, 89 * day, false, "it has been fetched within a lifetime"},
		{renewal.Policy{}, 91 * day, true, "nobody wants it"},
		{renewal.Policy{UnusedFor: 365 * day}, 91 * day, false, "an operator has more patience"},
		{renewal.Policy{UnusedFor: day}, 25 * time.Hour, true, "or less"},
	} {
		if got := test.policy.LetGo(issued, quarter, after(test.unused)); got != test.want {
			t.Errorf("not fetched for %s: let go %t, want %t: %s", test.unused, got, test.want, test.reason)
		}
	}
}

func TestCatchup(t *testing.T) {
	t.Parallel()
	p := renewal.New(quarter, issued, issued, 0)
	for _, test := range []struct {
		at     time.Duration
		random float64
		want   time.Duration
		reason string
	}{
		{60 * day, 0.5, 0, "it is just due"},
		{60*day + time.Minute, 0.5, 0, "the engine was busy"},
		{61 * day, 0.5, 30 * time.Minute, "nobody was at work for a day"},
		{90*day - time.Hour, 0.5, 3 * time.Minute, "there is no time to lose"},
		{91 * day, 0.5, 0, "it has expired"},
	} {
		if got := p.Catchup(p.At(renewal.Policy{}), after(test.at), test.random); got != test.want {
			t.Errorf("%s after the issuance: put off by %s, want %s: %s", test.at, got, test.want, test.reason)
		}
	}
}

func TestTheFirstQuestion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		length time.Duration
		random float64
		want   time.Duration
		reason string
	}{
		{90 * day, 0, 3 * time.Hour, "there is no news right after the issuance"},
		{90 * day, 0.5, 4*time.Hour + 30*time.Minute, "what was issued together is asked for at several times"},
		{8 * time.Minute, 0, 30 * time.Second, "a short life is asked for sooner"},
	} {
		life := renewal.Life{NotBefore: issued.Add(-time.Hour), NotAfter: issued.Add(test.length - time.Hour)}
		p := renewal.New(life, issued, issued, test.random)
		if got := p.Advice.Ask.Sub(issued); got != test.want || p.Fetched != issued {
			t.Errorf("a life of %s: asked for after %s, want %s: %s", test.length, got, test.want, test.reason)
		}
	}
}
