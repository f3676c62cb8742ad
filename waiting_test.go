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
// Vault included. It is not parallel: nobody else may start goroutines meanwhile.
func TestOrdersThatWaitCostNothing(t *testing.T) { //nolint:paralleltest // see above
	const count = 10_000
	storage := &watched{Storage: &logical.InmemStorage{}}
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
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
		if n := storage.asked.Load() - loaded; n > 0 {
			t.Errorf("storage was asked %d times", n)
		}
		if n := runtime.NumGoroutine() - before; n > 10 {
			t.Errorf("there are %d goroutines more than before", n)
		}
	})
}
