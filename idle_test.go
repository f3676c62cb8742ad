package pkiexternalca

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// watched is a storage that counts what is asked of it.
type watched struct {
	logical.Storage
	asked atomic.Int64
}

// Get implements logical.Storage.
func (w *watched) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	w.asked.Add(1)
	return w.Storage.Get(ctx, key)
}

// Put implements logical.Storage.
func (w *watched) Put(ctx context.Context, e *logical.StorageEntry) error {
	w.asked.Add(1)
	return w.Storage.Put(ctx, e)
}

// List implements logical.Storage.
func (w *watched) List(ctx context.Context, prefix string) ([]string, error) {
	w.asked.Add(1)
	return w.Storage.List(ctx, prefix)
}

// TestOrdersThatWaitCostNothing: ten thousand orders that wait for their callers
// take no goroutine and no look into storage while half a day goes by, ticks of
// Vault included: no more than none would. It is not parallel: nobody else may
// start goroutines meanwhile.
func TestOrdersThatWaitCostNothing(t *testing.T) { //nolint:paralleltest // see above
	looksIdle, goroutinesIdle := costOfWaiting(t, 0)
	looks, goroutines := costOfWaiting(t, 10_000)
	if looks > looksIdle {
		t.Errorf("storage was asked %d times, %d times without orders", looks, looksIdle)
	}
	if goroutines > goroutinesIdle {
		t.Errorf("there were %d goroutines, %d without orders", goroutines, goroutinesIdle)
	}
}

// costOfWaiting is what so many orders cost in half a day.
func costOfWaiting(t *testing.T, count int) (looks int64, goroutines int) {
	t.Helper()
	storage := &watched{Storage: &logical.InmemStorage{}}
	synctest.Test(t, func(t *testing.T) {
		for n := range count {
			storeWaiting(t, storage, n, time.Now().Add(24*time.Hour))
		}
		m := mountOn(t, storage)
		synctest.Wait()
		if n := m.b.running().orders.Len(); n != count {
			t.Fatalf("%d orders are known, want %d", n, count)
		}
		loaded := storage.asked.Load()
		for range 12 * 60 {
			<-time.After(time.Minute)
			m.periodic()
		}
		synctest.Wait()
		looks, goroutines = storage.asked.Load()-loaded, runtime.NumGoroutine()
	})
	return looks, goroutines
}
