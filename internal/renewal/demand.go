package renewal

import "time"

// Demand is how long a certificate that is handed out once more has to be valid
// still. The zero Demand says nothing of it: then the certificate is good until
// it is due for renewal.
type Demand struct {
	said  bool
	least time.Duration
	share int
}

// Least demands a duration.
func Least(d time.Duration) Demand { return Demand{said: true, least: d} }

// Share demands a part of the certificate's life, in percent.
func Share(percent int) Demand { return Demand{said: true, share: percent} }

// Said tells whether anything is demanded.
func (d Demand) Said() bool { return d.said }

// MostShare is the largest part of its life that can be demanded of a
// certificate, in percent. Who could demand all of it would have a certificate
// ordered with every request.
const MostShare = 90

// stale is when a certificate is not handed out any more, whatever is demanded:
// Vault Agent refuses one that is past nine tenths of its life, less a part of
// that at random, and asks again and again.
func (l Life) stale() time.Time { return l.NotAfter.Add(-l.Length() / 100 * 15) }

// Met tells whether a certificate that is due for renewal at a time is good enough
// now.
func (d Demand) Met(l Life, due, now time.Time) bool {
	switch {
	case !now.Before(l.stale()):
		return false
	case !d.said:
		return now.Before(due)
	}
	return l.Left(now) >= d.wants(l)
}

// Possible tells whether certificates with this length of life can meet the
// demand, for a tenth of it at least. If not, every request would make an order.
func (d Demand) Possible(l Life) bool { return d.wants(l) <= l.Most() }

// Most is the longest duration that can be demanded of certificates with this
// length of life.
func (l Life) Most() time.Duration { return l.Length() / 100 * MostShare }

func (d Demand) wants(l Life) time.Duration {
	return max(d.least, l.Length()/100*time.Duration(d.share))
}
