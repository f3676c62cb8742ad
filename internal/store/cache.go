package store

import (
	"container/list"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/vault/sdk/logical"
)

// Cache remembers records as they lie in storage: what was read, what was
// written, and, where it was told to, what is not there. It is for the one process that writes them;
// whatever else changes a record has to say so ([Cache.Invalidate]).
//
// A cache begins closed: everything goes to storage until [Cache.Open]. It
// remembers no list.
//
// Nothing that it gives is ever older than the last write that has succeeded: a
// write forgets the record before it begins, a record is not taken up while it is
// being written, and a read takes up nothing if the record was written since the
// read began. A write that failed may still be done, later: whoever waited for it has
// given up, storage has not. So the record is read anew each time until a write of it
// has succeeded.
type Cache struct {
	prefixes []string
	absences []string // prefixes, too
	most     int

	mu      sync.Mutex
	open    bool
	size    int
	entries map[string]*list.Element // of *remembered
	recent  *list.List               // the one used last comes first
	busy    map[string]*traffic
}

// remembered is one record, which never changes: another takes its place.
type remembered struct {
	key   string
	entry *logical.StorageEntry // nil when there is none
	// unsure says only that nobody knows what the record is, or will be.
	unsure bool
	// decoded is what a [Collection] has made of it, if readers share that.
	decoded atomic.Value
}

// overhead is what a record takes besides its key and value, in bytes, about.
const overhead = 256

// size reckons with a decoded copy beside the value.
func (r *remembered) size() int {
	size := len(r.key) + overhead
	if r.entry != nil {
		size += 2 * len(r.entry.Value)
	}
	return size
}

// traffic is what is under way for one key.
type traffic struct {
	calls, writers int
	// changes counts what may have changed the record.
	changes int
}

// NewCache makes a closed cache for the records below the prefixes. It takes at
// most about so many bytes.
func NewCache(most int, prefixes ...string) *Cache {
	return &Cache{
		prefixes: prefixes, most: most,
		entries: map[string]*list.Element{}, recent: list.New(), busy: map[string]*traffic{},
	}
}

// KnowAbsence has the cache remember, for these of its prefixes, that there is no
// record. That is for names which are asked for before they are written: elsewhere
// whoever asks for what does not exist would only push out what does.
func (c *Cache) KnowAbsence(prefixes ...string) *Cache {
	c.absences = prefixes
	return c
}

// Over puts the cache before a storage. All storages that it is put before must
// lead to the same records.
func (c *Cache) Over(s logical.Storage) logical.Storage {
	if s == nil {
		return nil
	}
	return &cached{c, s}
}

// Beneath gives the storage below a cache, for reading much that nobody will read
// again soon, and s itself where there is none. Nothing may be written to it.
func Beneath(s logical.Storage) logical.Storage {
	if c, ok := s.(*cached); ok {
		return c.Storage
	}
	return s
}

// Open lets the cache remember from now on.
func (c *Cache) Open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = true
}

// Close forgets everything, and lets nothing be remembered until it is opened.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.size = false, 0
	clear(c.entries)
	c.recent.Init()
	for _, t := range c.busy {
		t.changes++
	}
}

// Invalidate forgets a record that was changed by somebody else.
func (c *Cache) Invalidate(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(key)
	if t := c.busy[key]; t != nil {
		t.changes++
	}
}

// covers tells whether records with such a key are remembered.
func (c *Cache) covers(key string) bool { return isBelow(key, c.prefixes) }

func isBelow(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// find gives what is remembered; without that, it says that a read begins.
func (c *Cache) find(key string) (*remembered, *traffic, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.known(key); r != nil && !r.unsure {
		c.recent.MoveToFront(c.entries[key])
		return r, nil, 0
	}
	t := c.enter(key)
	return nil, t, t.changes
}

// endRead takes up what was read, unless it may have been changed meanwhile.
func (c *Cache) endRead(key string, t *traffic, changes int, r *remembered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r != nil && t.writers == 0 && t.changes == changes && c.known(key) == nil {
		c.remember(r)
	}
	c.leave(key, t)
}

// beginWrite forgets a record that is about to be written.
func (c *Cache) beginWrite(key string) (*traffic, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.known(key); r != nil && !r.unsure {
		c.forget(key)
	}
	t := c.enter(key)
	t.writers++
	t.changes++
	return t, t.changes
}

// endWrite takes up what was written; nil if nobody knows. Of two writers at once
// nobody knows who was last.
func (c *Cache) endWrite(key string, t *traffic, changes int, r *remembered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r == nil:
		c.remember(&remembered{key: key, unsure: true})
	case t.writers == 1 && t.changes == changes:
		c.forget(key)
		c.remember(r)
	}
	t.writers--
	t.changes++
	c.leave(key, t)
}

// enter needs the lock, as all that follow.
func (c *Cache) enter(key string) *traffic {
	t := c.busy[key]
	if t == nil {
		t = &traffic{}
		c.busy[key] = t
	}
	t.calls++
	return t
}

func (c *Cache) leave(key string, t *traffic) {
	if t.calls--; t.calls == 0 {
		delete(c.busy, key)
	}
}

// known is what is remembered of a record, that it is unsure too.
func (c *Cache) known(key string) *remembered {
	if at := c.entries[key]; at != nil {
		return at.Value.(*remembered)
	}
	return nil
}

func (c *Cache) remember(r *remembered) {
	absent := r.entry == nil && !r.unsure
	if !c.open || r.size() > c.most || absent && !isBelow(r.key, c.absences) {
		return
	}
	c.forget(r.key)
	c.entries[r.key] = c.recent.PushFront(r)
	for c.size += r.size(); c.size > c.most; {
		c.forget(c.recent.Back().Value.(*remembered).key)
	}
}

func (c *Cache) forget(key string) {
	if at := c.entries[key]; at != nil {
		c.size -= at.Value.(*remembered).size()
		c.recent.Remove(at)
		delete(c.entries, key)
	}
}

// cached is a storage with a cache before it. The values that it gives are
// shared: nobody may change them.
type cached struct {
	*Cache
	logical.Storage
}

// Get implements logical.Storage.
func (s *cached) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if !s.covers(key) {
		return s.Storage.Get(ctx, key)
	}
	r, err := s.get(ctx, key)
	if err != nil {
		return nil, err
	}
	return r.entry, nil
}

// get gives a record that is covered, or its absence.
func (s *cached) get(ctx context.Context, key string) (*remembered, error) {
	r, t, changes := s.find(key)
	if r != nil {
		return r, nil
	}
	defer func() { s.endRead(key, t, changes, r) }()
	entry, err := s.Storage.Get(ctx, key)
	if err == nil {
		r = &remembered{key: key, entry: entry}
	}
	return r, err
}

// Put implements logical.Storage.
func (s *cached) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if !s.covers(entry.Key) {
		return s.Storage.Put(ctx, entry)
	}
	var written *remembered
	t, changes := s.beginWrite(entry.Key)
	defer func() { s.endWrite(entry.Key, t, changes, written) }()
	err := s.Storage.Put(ctx, entry)
	if err == nil {
		written = &remembered{key: entry.Key, entry: entry}
	}
	return err
}

// Delete implements logical.Storage.
func (s *cached) Delete(ctx context.Context, key string) error {
	if !s.covers(key) {
		return s.Storage.Delete(ctx, key)
	}
	var absent *remembered
	t, changes := s.beginWrite(key)
	defer func() { s.endWrite(key, t, changes, absent) }()
	err := s.Storage.Delete(ctx, key)
	if err == nil {
		absent = &remembered{key: key}
	}
	return err
}
