// Package renewal decides when a certificate is to be renewed.
//
// It knows neither Vault nor ACME and reads no clock: every decision is a
// function of the certificate, of what the CA has said (RFC 9773), of what has
// failed, and of the time it is asked at. What has to outlive a restart is in a
// [Plan], which whoever decides by it stores.
package renewal

import "time"

// Life is the validity of a certificate.
type Life struct {
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
}

// Length is how long the certificate is valid in all.
func (l Life) Length() time.Duration { return l.NotAfter.Sub(l.NotBefore) }

// Left is how long it is valid from now on; negative when it has expired.
func (l Life) Left(now time.Time) time.Duration { return l.NotAfter.Sub(now) }

// shortLife is the length below which a certificate is renewed earlier in
// relation: half of a few days leaves no more time for mending a fault than a
// third of many weeks.
const shortLife = 10 * 24 * time.Hour

// Due is when a certificate is renewed if nobody says anything else: after two
// thirds of its life, and after half of one shorter than ten days. This is what
// CAs advise, and what holds whatever becomes of their renewal information.
func Due(notBefore, notAfter time.Time) time.Time {
	life := notAfter.Sub(notBefore)
	if life < shortLife {
		return notBefore.Add(life / 2)
	}
	return notBefore.Add(life / 3 * 2)
}

// latest is when a certificate is renewed whatever anybody says: with a
// twentieth of its life left there is hardly time for one more failure.
func (l Life) latest() time.Time { return l.NotAfter.Add(-l.Length() / 20) }

// Policy is what an operator wants of renewals.
type Policy struct {
	// Before is how long before its end a certificate is renewed; 0 when that
	// is not set.
	Before time.Duration
	// Percentage is how much of its life a certificate has left when it is
	// renewed, from 1 to 99; 0 when that is not set.
	Percentage int
	// UnusedFor is how long a certificate that nobody fetches is renewed all the
	// same; 0 stands for as long as it is valid.
	UnusedFor time.Duration
}

// wants is when the operator wants a certificate renewed, and whether that was
// said at all. A time before the certificate was half an hour, or a tenth of
// its life, old would have it renewed without end.
func (p Policy) wants(l Life) (at time.Time, said bool) {
	switch {
	case p.Before > 0:
		at = l.NotAfter.Add(-p.Before)
	case p.Percentage > 0:
		at = l.NotAfter.Add(-l.Length() / 100 * time.Duration(p.Percentage))
	default:
		return Due(l.NotBefore, l.NotAfter), false
	}
	return later(at, l.earliest()), true
}

// earliest is when a certificate may be renewed at all without a CA's or an
// operator's express wish.
func (l Life) earliest() time.Time { return l.NotBefore.Add(l.Length() / 10) }

// LetGo tells whether a certificate has not been fetched for so long that it is
// forgotten. It counts from when it was fetched last, or issued first.
func (p Policy) LetGo(fetched time.Time, l Life, now time.Time) bool {
	unused := p.UnusedFor
	if unused == 0 {
		unused = l.Length()
	}
	return now.Sub(fetched) > unused
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
