package pkiexternalca

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// interleaved is a storage in which something happens between two operations on
// the records of standings.
type interleaved struct {
	logical.Storage
	mu              sync.Mutex
	onRead, onWrite func()
}

// once has something happen after the next read, or before the next write.
func (i *interleaved) once(afterRead, beforeWrite func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.onRead, i.onWrite = afterRead, beforeWrite
}

func (i *interleaved) pass(key string, which *func()) {
	if !strings.HasPrefix(key, current.Prefix) {
		return
	}
	i.mu.Lock()
	do := *which
	*which = nil
	i.mu.Unlock()
	if do != nil {
		do()
	}
}

// Get implements logical.Storage.
func (i *interleaved) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	entry, err := i.Storage.Get(ctx, key)
	i.pass(key, &i.onRead)
	return entry, err
}

// Put implements logical.Storage.
func (i *interleaved) Put(ctx context.Context, e *logical.StorageEntry) error {
	i.pass(e.Key, &i.onWrite)
	return i.Storage.Put(ctx, e)
}

// standingOnly gives the key of the one standing there is.
func standingOnly(t testing.TB, s logical.Storage) string {
	t.Helper()
	keys := storedBelow(t, s, current.Prefix)
	if len(keys) != 1 {
		t.Fatalf("there are the standings %q, want one", keys)
	}
	return keys[0]
}

// TestIssueWhileItIsIssued: a certificate that comes between the first look and
// the lock is given, and that it was fetched is noted: by who has given the lock
// back.
func TestIssueWhileItIsIssued(t *testing.T) {
	t.Parallel()
	s := &interleaved{Storage: &logical.InmemStorage{}}
	r := newRenewing(t, nil, func(m *mount) { m.storage, m.system.CachingDisabledVal = s, true })
	r.issued()
	key := standingOnly(t, s)
	old := r.record(key)
	r.time.mu.Lock()
	r.time.ahead = 70 * day
	r.time.mu.Unlock()
	second := r.issued()
	renewed := r.record(key)
	put := func(value string) {
		if err := s.Storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(value)}); err != nil {
			t.Error(err)
		}
	}
	put(old)
	s.once(func() { put(renewed) }, nil)
	answered := make(chan fields)
	go func() { answered <- r.write(issue, cachedNames) }()
	select {
	case got := <-answered:
		if got["order_id"] != second || got["cached"] != true {
			t.Errorf("the answer is of order %v (cached: %v), want %s", got["order_id"], got["cached"], second)
		}
	case <-time.After(patience):
		t.Fatal("the request waits for itself")
	}
	if r.record(key) == renewed {
		t.Error("that it was fetched was not noted")
	}
}

// TestForcedDeletionAmongOrders: who ends a renewal because of its role does not
// wait for who wants the same, and is waited for by that one.
func TestForcedDeletionAmongOrders(t *testing.T) {
	t.Parallel()
	s := &interleaved{Storage: &logical.InmemStorage{}}
	r := newRenewing(t, nil, func(m *mount) { m.storage = s })
	r.issued()
	r.ca.On(acmetest.NewOrder, acmetest.Hang())
	r.write("role/web/renew", with(cachedNames, fields{"force": true}))
	done := make(chan int, 2)
	s.once(nil, func() {
		go func() {
			_, status, _ := r.send(logical.DeleteOperation, "role/web", fields{"force": true})
			done <- status
		}()
		eventually(t, "the deletion to come for the lock", func() bool {
			if r.b.rolesLock.TryRLock() {
				r.b.rolesLock.RUnlock()
				return false
			}
			return true
		})
	})
	go func() {
		_, status, _ := r.send(logical.UpdateOperation, newOrder, with(cachedNames, fields{"force_new": true}))
		done <- status
	}()
	for range 2 {
		select {
		case status := <-done:
			if status >= http.StatusInternalServerError {
				t.Errorf("status %d", status)
			}
		case <-time.After(patience):
			t.Fatal("two requests wait for each other")
		}
	}
	eventually(t, "the orders to end with their role", func() bool { return len(storedBelow(t, s, active.Prefix)) == 0 })
}
