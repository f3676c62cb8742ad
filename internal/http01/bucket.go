package http01

import (
	"sync"
	"time"
)

// bucket lets so many through a second on average, and at most so many at once.
type bucket struct {
	perSecond, most float64

	mu      sync.Mutex
	missing float64   // from a full bucket
	at      time.Time // when that was so
}

// take tells whether one more is let through.
func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.at); passed > 0 { // a clock that is set back refills nothing
		b.missing = max(0, b.missing-passed.Seconds()*b.perSecond)
	}
	b.at = now
	if b.missing+1 > b.most {
		return false
	}
	b.missing++
	return true
}
