package renewal

import "time"

// Plan is what has to be remembered about the renewal of one certificate.
type Plan struct {
	Life
	Advice Advice `json:"advice,omitzero"`
	// Spread is a number in [0,1) by which renewals of certificates that were
	// issued together are drawn apart.
	Spread float64 `json:"spread,omitempty"`
	// Failures counts the renewals that failed since the last that did not.
	Failures int `json:"failures,omitempty"`
	// Retry is when the next may be tried after a failure.
	Retry time.Time `json:"retry,omitzero"`
	// Tried is when the latest failed.
	Tried time.Time `json:"tried,omitzero"`
	// LastError says why the latest failed.
	LastError string `json:"last_error,omitempty"`
	// Fetched is when somebody wanted the certificate last, more or less: it is
	// noted a few times in a certificate's life only.
	Fetched time.Time `json:"fetched,omitzero"`
}

// New makes the plan of a certificate that has just been issued. When the one
// before was fetched last is carried on. random is in [0,1). The CA is asked
// after some hours for the first time: right after the issuance it has no news,
// and so certificates that were issued together are not asked for together.
func New(l Life, fetched, now time.Time, random float64) Plan {
	first := min(usualPause, l.Length()/8)
	return Plan{Life: l, Spread: random, Fetched: fetched, Advice: Advice{
		Ask: now.Add(first/2 + time.Duration(random*float64(first/2))),
	}}
}

// share is by how much of a certificate's life renewals are drawn apart.
const share = 50

// At is when the certificate is to be renewed, whatever has failed: when the CA
// suggests, and when the operator wants, if that is earlier; without either when
// two thirds of its life are over. What no CA has spread differs a little from
// certificate to certificate: later than the default, earlier than the operator's
// wish.
func (p *Plan) At(policy Policy) time.Time {
	at, said := policy.wants(p.Life)
	apart := time.Duration(p.Spread * float64(p.Length()/share))
	if said {
		at = later(at.Add(-apart), p.earliest().Add(apart))
	} else {
		at = at.Add(apart)
	}
	if suggested := p.Advice.Chosen; !suggested.IsZero() && (!said || suggested.Before(at)) {
		at = suggested
	}
	return earlier(at, p.latest().Add(-apart))
}

// Next is when the next renewal is to be tried: as [Plan.At], but not before
// the pause after a failure is over. A failure that is yet to come shows that the
// clock was set back since: its pause would last until the clock shows that time
// again, so it counts no more.
func (p *Plan) Next(policy Policy, now time.Time) time.Time {
	if p.Tried.After(now) {
		return p.At(policy)
	}
	return later(p.At(policy), p.Retry)
}

// Overdue tells whether a certificate should have been renewed by now and was
// not: a failure was in the way, or nobody who could fulfil its challenges.
func (p *Plan) Overdue(policy Policy, now time.Time) bool {
	return now.Sub(p.At(policy)) > p.Length()/share
}

// Failed notes that a renewal has failed. jitter is in [0,1).
func (p *Plan) Failed(why string, now time.Time, jitter float64) {
	p.Failures++
	p.LastError, p.Tried = why, now
	p.Retry = now.Add(Backoff(p.Failures, p.Left(now), jitter))
}

// Held notes that no renewal is possible before a time that somebody else has
// set. That is no failure of this certificate's, and does not count: the pauses
// after failures would outlast by far what it has to wait for. An operator may have
// lifted it before, so it is looked at every hour, which asks nobody outside.
// random is in [0,1).
func (p *Plan) Held(why string, until, now time.Time, random float64) {
	p.LastError, p.Tried = why, now
	p.Retry = later(earlier(until, now.Add(time.Hour)), now.Add(time.Minute)).Add(p.apart(now, random))
}

// Catchup is how long what should have been done at a time, when nobody was at
// work, is put off, so that an outage is not followed by a storm: by up to an
// hour, and by less if the certificate ends soon. random is in [0,1).
func (p *Plan) Catchup(due, now time.Time, random float64) time.Duration {
	const patience = 5 * time.Minute
	if now.Sub(due) < patience {
		return 0
	}
	return p.apart(now, random)
}

// apart draws apart what would be done together.
func (p *Plan) apart(now time.Time, random float64) time.Duration {
	return time.Duration(random * float64(min(time.Hour, max(p.Left(now), 0)/10)))
}

// Backoff is how long to wait after the n-th failure in a row (from 1): a
// minute, ten, a hundred, then a day, as Let's Encrypt advises. It is shorter as
// the end comes nearer, an eighth of what is left, and an hour when the
// certificate has expired; never under a minute. Up to a fifth is added by
// jitter in [0,1), so that what failed together is not tried together again.
func Backoff(n int, left time.Duration, jitter float64) time.Duration {
	steps := []time.Duration{time.Minute, 10 * time.Minute, 100 * time.Minute, 24 * time.Hour}
	d := steps[min(max(n, 1), len(steps))-1]
	if left > 0 {
		d = min(d, left/8)
	} else {
		d = min(d, time.Hour)
	}
	d = max(d, time.Minute)
	return d + time.Duration(jitter*float64(d)/5)
}
