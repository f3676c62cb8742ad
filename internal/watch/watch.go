// Package watch lets some wait for a thing to change, without asking again and
// again.
//
// A thing is known by its key alone. Whoever waits reads the thing after
// [Hub.Watch] and before each wait, so that no change is missed: a notice says
// that something has changed, never what. Nothing is kept of a key that nobody
// watches.
package watch

import "sync"

// Hub knows who waits for what. The zero value is ready for use.
type Hub struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{}
	count    int
}

// Watch registers a watcher of a key unless there are most of them already, of
// all keys together. The channel receives after each change, once for several
// that come before it is read. The caller MUST call stop, which may be called
// again.
func (h *Hub) Watch(key string, most int) (changed <-chan struct{}, stop func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count >= most {
		return nil, nil, false
	}
	if h.watchers == nil {
		h.watchers = map[string]map[chan struct{}]struct{}{}
	}
	if h.watchers[key] == nil {
		h.watchers[key] = map[chan struct{}]struct{}{}
	}
	c := make(chan struct{}, 1)
	h.watchers[key][c] = struct{}{}
	h.count++
	return c, sync.OnceFunc(func() { h.remove(key, c) }), true
}

func (h *Hub) remove(key string, c chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[key], c)
	if len(h.watchers[key]) == 0 {
		delete(h.watchers, key)
	}
	h.count--
}

// Notify tells everybody who watches a key that it has changed. It never waits.
func (h *Hub) Notify(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	notify(h.watchers[key])
}

// NotifyAll tells everybody.
func (h *Hub) NotifyAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, watchers := range h.watchers {
		notify(watchers)
	}
}

func notify(watchers map[chan struct{}]struct{}) {
	for c := range watchers {
		select {
		case c <- struct{}{}:
		default: // it has not read the last one, and will see this change with it
		}
	}
}

// Len is the number of watchers.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}
