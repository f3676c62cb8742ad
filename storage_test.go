package pkiexternalca

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// failure is what becomes of the one write that a [frail] storage fails at.
type failure string

const (
	// refused fails once, without an effect.
	refused failure = "refused"
	// uncertain fails once, but was written: an answer that was lost.
	uncertain failure = "uncertain"
	// diesBefore fails, and so does everything after it.
	diesBefore failure = "dies before"
	// diesAfter succeeds, and everything after it fails.
	diesAfter failure = "dies after"
)

var failures = []failure{refused, uncertain, diesBefore, diesAfter}

var errFrail = errors.New("the storage failed, as the test wants")

// frail is a storage that fails at one write, counted from 1. Puts and
// deletions are writes.
type frail struct {
	logical.Storage
	kind failure

	mu     sync.Mutex
	at     int // 0: never
	writes int
	dead   bool
}

// arm makes the nth write from now on fail.
func (f *frail) arm(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.writes = n, 0
}

// count gives the number of writes since the storage was armed.
func (f *frail) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

func (f *frail) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// write counts a write and decides about it.
func (f *frail) write(do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errFrail
	}
	f.writes++
	if f.writes != f.at {
		return do()
	}
	switch f.kind {
	case uncertain:
		return errors.Join(do(), errFrail)
	case diesAfter:
		f.dead = true
		return do()
	case diesBefore:
		f.dead = true
	}
	return errFrail
}

// Put implements logical.Storage.
func (f *frail) Put(ctx context.Context, e *logical.StorageEntry) error {
	return f.write(func() error { return f.Storage.Put(ctx, e) })
}

// Delete implements logical.Storage.
func (f *frail) Delete(ctx context.Context, key string) error {
	return f.write(func() error { return f.Storage.Delete(ctx, key) })
}

// Get implements logical.Storage.
func (f *frail) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if f.isDead() {
		return nil, errFrail
	}
	return f.Storage.Get(ctx, key)
}

// List implements logical.Storage.
func (f *frail) List(ctx context.Context, prefix string) ([]string, error) {
	if f.isDead() {
		return nil, errFrail
	}
	return f.Storage.List(ctx, prefix)
}

// storedKeys lists the keys of all records, in order.
func storedKeys(t testing.TB, s logical.Storage) []string {
	t.Helper()
	keys, err := logical.CollectKeys(t.Context(), s)
	if err != nil {
		t.Fatalf("listing the storage: %v", err)
	}
	return keys
}

// storedBelow lists the keys of the records below a prefix.
func storedBelow(t testing.TB, s logical.Storage, prefix string) []string {
	t.Helper()
	var below []string
	for _, key := range storedKeys(t, s) {
		if strings.HasPrefix(key, prefix) {
			below = append(below, key)
		}
	}
	return below
}

// record gives what is stored under a key.
func (m *mount) record(key string) string {
	m.t.Helper()
	entry, err := m.storage.Get(m.t.Context(), key)
	if err != nil || entry == nil {
		m.t.Fatalf("there is no record %s (error %v)", key, err)
	}
	return string(entry.Value)
}

// copyOf gives a storage with the same records.
func copyOf(t testing.TB, s logical.Storage) logical.Storage {
	t.Helper()
	out := &logical.InmemStorage{}
	for _, key := range storedKeys(t, s) {
		entry, err := s.Get(t.Context(), key)
		if err == nil {
			err = out.Put(t.Context(), entry)
		}
		if err != nil {
			t.Fatalf("copying the storage: %v", err)
		}
	}
	return out
}
