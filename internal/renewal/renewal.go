// Package renewal decides when a certificate is to be renewed.
//
// It knows neither Vault nor ACME and reads no clock: every decision is a
// function of the certificate, of what the CA has said (RFC 9773), of what has
// failed, and of the time it is asked at.
package renewal

import "time"

// shortLife is the lifetime below which a certificate is renewed earlier in
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
