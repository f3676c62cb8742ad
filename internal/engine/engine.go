// Package engine works on things when they are due.
//
// A thing is known by its key alone. The engine keeps keys in the order of
// their due times, hands each that is due to one of a bounded number of
// workers, never hands out a key twice at once, and does the work again when
// the key was woken meanwhile. It costs nothing while nothing is due, and
// knows nothing about what the work is.
//
// Every key is in a [Lane], which tells who is waited for and who asks. Only so
// many keys are worked on at once for the sake of one who is waited for, and
// those who ask take turns: whoever does not answer holds up nobody but those
// who need exactly that one, and whoever asks for a thousand things does not
// hold up who asks for one.
//
// What it keeps is a hint that can be rebuilt: the truth is with the caller.
package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Work does what is due for a key that was waiting in a lane, and returns when
// to come back, and in which lane. The zero time means that only a wake-up will,
// and a time that has passed means when it is the key's turn again. It must
// return soon after ctx has ended, and must not panic.
type Work func(ctx context.Context, key string, in Lane) (next time.Time, lane Lane)

// Config is what an engine needs; all of it.
type Config struct {
	// Workers bounds how many keys are worked on at once, in all lanes.
	Workers int
	// Most bounds how many keys of one line are worked on at once; at least 1.
	// It is called often, and must not call the engine. Whoever changes what it
	// answers calls [Engine.Reconsider].
	Most func(line string) int
	// Now is the clock.
	Now func() time.Time
	// Work is called for every key that is due.
	Work Work
}

// Engine schedules keys. Make one with [New], start it with [Engine.Run].
type Engine struct {
	config Config

	mu      sync.Mutex
	entries map[string]*entry
	waiting queue // not due yet
	due     lines
	running int
	latest  time.Time // of the clock
	changed chan struct{}
}

// entry is what the engine knows of a key: when it is due, in which lane it
// waits, and whether a worker has it now.
type entry struct {
	key   string
	lane  Lane
	due   time.Time
	index int // in the queue
	at    place
}

// place is where an entry is.
type place int

const (
	nowhere place = iota
	inWaiting
	inLine
	atWork
)

// New makes an engine that does nothing before it is run.
func New(c Config) *Engine {
	return &Engine{config: c, entries: map[string]*entry{}, due: newLines(c.Most), changed: make(chan struct{}, 1)}
}

// Schedule makes a key due at a time, or earlier if it is due earlier already.
// The zero time means at once. A key that is known stays in its lane: only the
// work on it moves it to another.
func (e *Engine) Schedule(key string, lane Lane, due time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if due.IsZero() {
		due = e.clock()
	}
	at := e.entries[key]
	if at == nil {
		at = &entry{key: key, lane: lane}
		e.entries[key] = at
	}
	if at.due.IsZero() || due.Before(at.due) {
		e.setDue(at, due)
	}
}

// Wake makes a key due now. One that is unknown waits in the zero lane.
func (e *Engine) Wake(key string) { e.Schedule(key, Lane{}, time.Time{}) }

// Reconsider is to be called after Most has changed its mind.
func (e *Engine) Reconsider() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.due.reconsider()
	e.signal()
}

// Len is the number of keys that are waiting or being worked on.
func (e *Engine) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.entries)
}

// setDue needs the lock. The time loses what Go knows of it beside the clock's
// hands: stored times have no such thing, and all must be compared alike.
func (e *Engine) setDue(at *entry, due time.Time) {
	if at.at == inLine {
		return // its turn comes anyway
	}
	at.due = due.Round(0)
	switch at.at {
	case atWork: // queued again when the worker is done
		return
	case inWaiting:
		heap.Fix(&e.waiting, at.index)
	default:
		at.at = inWaiting
		heap.Push(&e.waiting, at)
	}
	if e.waiting[0] == at {
		e.signal()
	}
}

func (e *Engine) signal() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// Run hands out work until ctx ends, and returns when every worker has.
func (e *Engine) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		at := e.await(ctx)
		if at == nil {
			return
		}
		in := at.lane
		running.Go(func() {
			next, lane := e.config.Work(ctx, at.key, in)
			e.done(at, next, lane)
		})
	}
}

// longestNap bounds how late the engine notices that the clock was set: a timer
// runs by another one, which stands still while the machine sleeps.
const longestNap = time.Minute

// await gives the next key to work on, or nil when ctx has ended.
func (e *Engine) await(ctx context.Context) *entry {
	for ctx.Err() == nil {
		at, wait := e.take()
		if at != nil {
			return at
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(min(wait, longestNap))
		}
		select {
		case <-ctx.Done():
		case <-e.changed:
		case <-timer:
		}
	}
	return nil
}

// take removes the next key from its line, if one may be worked on. If none may
// it tells how long until one is due; 0 means that time alone changes nothing.
func (e *Engine) take() (*entry, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock()
	for len(e.waiting) > 0 && !e.waiting[0].due.After(now) {
		at := heap.Pop(&e.waiting).(*entry)
		at.at = inLine
		e.due.add(at)
	}
	if e.running < e.config.Workers {
		if at := e.due.take(); at != nil {
			e.running++
			at.at, at.due = atWork, time.Time{}
			return at, 0
		}
	}
	if len(e.waiting) == 0 {
		return nil, 0
	}
	return nil, e.waiting[0].due.Sub(now)
}

// setBack is by how much a clock must be behind itself to have been set. Less is
// how clocks are kept right.
const setBack = time.Second

// clock needs the lock. When the clock was set back, whoever waits goes on
// waiting for as long as before, not for the time that comes twice; nor does a
// wake-up during the work, or a place in a line, get lost in it.
func (e *Engine) clock() time.Time {
	now := e.config.Now().Round(0)
	switch back := e.latest.Sub(now); {
	case back > setBack:
		for _, at := range e.entries { // all alike, so they stay in order
			if !at.due.IsZero() {
				at.due = at.due.Add(-back)
			}
		}
		e.latest = now
	case back < 0:
		e.latest = now
	}
	return now
}

// done puts a key back: at the time the worker named, or that of a wake-up
// which came while it worked, whichever is earlier.
func (e *Engine) done(at *entry, next time.Time, lane Lane) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running--
	e.due.leave(at.lane.Line)
	at.at, at.lane = nowhere, lane
	if due := earlier(at.due, next); !due.IsZero() {
		e.setDue(at, due)
	} else {
		delete(e.entries, at.key)
	}
	e.signal() // there is room for another
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
