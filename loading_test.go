package pkiexternalca

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// meeting is a storage in which whoever reads an order waits until so many do.
type meeting struct {
	logical.Storage
	places int

	mu    sync.Mutex
	there int
	full  chan struct{}
}

// Get implements logical.Storage.
func (m *meeting) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if strings.HasPrefix(key, orders.Prefix) {
		m.arrive()
		select {
		case <-m.full:
		case <-ctx.Done():
		}
	}
	return m.Storage.Get(ctx, key)
}

func (m *meeting) arrive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.there++; m.there == m.places {
		close(m.full)
	}
}

// TestActiveOrdersAreReadSideBySide: each read is a round trip, and a new leader
// may have ten thousand before it.
func TestActiveOrdersAreReadSideBySide(t *testing.T) {
	t.Parallel()
	storage := &meeting{Storage: &logical.InmemStorage{}, places: readers, full: make(chan struct{})}
	const count = 5 * readers
	for n := range count {
		storeWaiting(t, storage.Storage, n, time.Now().Add(time.Hour))
	}
	m := mountOn(t, storage)
	eventually(t, "all orders to be known", func() bool { return m.b.running().orders.Len() == count })
}
