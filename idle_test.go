package pkiexternalca

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

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
	storage := &countedStorage{Storage: &logical.InmemStorage{}}
	synctest.Test(t, func(t *testing.T) {
		for n := range count {
			storeWaiting(t, storage, n, time.Now().Add(24*time.Hour))
		}
		m := mountOn(t, storage)
		synctest.Wait()
		if n := m.b.running().orders.Len(); n != count {
			t.Fatalf("%d orders are known, want %d", n, count)
		}
		loaded := storage.total()
		for range 12 * 60 {
			<-time.After(time.Minute)
			m.periodic()
		}
		synctest.Wait()
		looks, goroutines = storage.total()-loaded, runtime.NumGoroutine()
	})
	return looks, goroutines
}
