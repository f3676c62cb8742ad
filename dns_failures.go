package pkiexternalca

import (
	"sync"
	"time"
)

const (
	// firstCollection and longestCollection bound the waits between tries to
	// remove a record.
	firstCollection   = time.Second
	longestCollection = time.Hour
	// longestAsked bounds what a service may ask for.
	longestAsked = 24 * time.Hour
)

// failureLog remembers what failed lately, and when it may be tried again. A
// restart forgets it: then everything is tried once.
type failureLog struct {
	mu sync.Mutex
	of map[string]*failing
}

type failing struct {
	times       int
	last, until time.Time
}

// enter asks to try something now. The zero time allows it; others have to wait
// until the time that it gives. Of all who have waited one goes first, and the
// others wait for what comes of it.
func (f *failureLog) enter(name string, now time.Time) (until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.of[name]
	if at == nil {
		return time.Time{}
	}
	if at.until.After(now) {
		return at.until
	}
	at.until = now.Add(collection(at.times))
	return time.Time{}
}

// note remembers a failure of what began at a time, and returns when to try
// again. Those that failed side by side have failed once.
func (f *failureLog) note(name string, began, now time.Time, asked time.Duration) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.of[name]
	if at == nil {
		at = &failing{}
		if f.of == nil {
			f.of = map[string]*failing{}
		}
		f.of[name] = at
	}
	if at.times == 0 || !began.Before(at.last) {
		at.times++
		at.last = now
		at.until = now.Add(max(collection(at.times), min(asked, longestAsked)))
	}
	return at.until
}

// end forgets what failed, and tells whether there was anything to forget.
func (f *failureLog) end(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, failed := f.of[name]
	delete(f.of, name)
	return failed
}

// collection is the wait after so many failures in a row: doubling.
func collection(times int) time.Duration {
	wait := firstCollection
	for i := 1; i < times && wait < longestCollection; i++ {
		wait *= 2
	}
	return min(wait, longestCollection)
}
