// Package engine works on things when they are due.
//
// A thing is known by its key alone. The engine keeps keys in the order of
// their due times, hands each that is due to one of a bounded number of
// workers, never hands out a key twice at once, and does the work again when
// the key was woken meanwhile. It costs nothing while nothing is due, and
// knows nothing about what the work is.
//
// What it keeps is a hint that can be rebuilt: the truth is with the caller.
package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Work does what is due for a key and returns when to come back; the zero time
// means that only a wake-up will, and a time that has passed means at once. It
// must return soon after ctx has ended, and must not panic.
type Work func(ctx context.Context, key string) time.Time

// Engine schedules keys. Make one with [New], start it with [Engine.Run].
type Engine struct {
	now     func() time.Time
	work    Work
	workers chan struct{}

	mu      sync.Mutex
	queue   queue
	entries map[string]*entry
	changed chan struct{}
}

// entry is what the engine knows of a key: when it is due, and whether a
// worker has it now.
type entry struct {
	key     string
	due     time.Time
	index   int // in the queue; -1 when not queued
	running bool
}

// New makes an engine with at most the given number of workers at once.
func New(workers int, now func() time.Time, work Work) *Engine {
	return &Engine{
		now: now, work: work,
		workers: make(chan struct{}, workers),
		entries: map[string]*entry{},
		changed: make(chan struct{}, 1),
	}
}

// Schedule makes a key due at a time, or earlier if it is due earlier already.
// The zero time means at once.
func (e *Engine) Schedule(key string, due time.Time) {
	if due.IsZero() {
		due = e.now()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.entries[key]
	if at == nil {
		at = &entry{key: key, index: -1}
		e.entries[key] = at
	}
	if at.due.IsZero() || due.Before(at.due) {
		e.setDue(at, due)
	}
}

// Wake makes a key due now.
func (e *Engine) Wake(key string) { e.Schedule(key, e.now()) }

// Len is the number of keys that are waiting or being worked on.
func (e *Engine) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.entries)
}

// setDue needs the lock.
func (e *Engine) setDue(at *entry, due time.Time) {
	at.due = due
	switch {
	case at.running:
		return // queued again when the worker is done
	case at.index >= 0:
		heap.Fix(&e.queue, at.index)
	default:
		heap.Push(&e.queue, at)
	}
	if e.queue[0] == at {
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
		if !e.await(ctx) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case e.workers <- struct{}{}:
		}
		at := e.take()
		if at == nil {
			<-e.workers
			continue
		}
		running.Go(func() {
			defer func() { <-e.workers }()
			e.done(at, e.work(ctx, at.key))
		})
	}
}

// longestNap bounds how late the engine notices that the clock was set: a timer
// runs by another one, which stands still while the machine sleeps.
const longestNap = time.Minute

// await returns true when a key is due, false when ctx has ended.
func (e *Engine) await(ctx context.Context) bool {
	for {
		wait, ok := e.untilNext()
		if ok && wait <= 0 {
			return ctx.Err() == nil
		}
		var timer <-chan time.Time
		if ok {
			timer = time.After(min(wait, longestNap))
		}
		select {
		case <-ctx.Done():
			return false
		case <-e.changed:
		case <-timer:
		}
	}
}

func (e *Engine) untilNext() (time.Duration, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		return 0, false
	}
	return e.queue[0].due.Sub(e.now()), true
}

// take removes the next key from the queue if it is due.
func (e *Engine) take() *entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 || e.queue[0].due.After(e.now()) {
		return nil
	}
	at := heap.Pop(&e.queue).(*entry)
	at.running, at.due = true, time.Time{}
	return at
}

// done puts a key back: at the time the worker named, or that of a wake-up
// which came while it worked, whichever is earlier.
func (e *Engine) done(at *entry, next time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at.running = false
	if due := earlier(at.due, next); !due.IsZero() {
		e.setDue(at, due)
		return
	}
	delete(e.entries, at.key)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// queue is a heap of entries by due time.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	at := x.(*entry)
	at.index = len(*q)
	*q = append(*q, at)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	at := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	at.index = -1
	return at
}
