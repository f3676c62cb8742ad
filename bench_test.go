package pkiexternalca

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// countedStorage is a storage that counts what is asked of it.
type countedStorage struct {
	logical.Storage
	puts, deletes, gets, lists atomic.Int64
}

func (c *countedStorage) total() int64 {
	return c.puts.Load() + c.deletes.Load() + c.gets.Load() + c.lists.Load()
}

// Put implements logical.Storage.
func (c *countedStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	c.puts.Add(1)
	return c.Storage.Put(ctx, entry)
}

// Delete implements logical.Storage.
func (c *countedStorage) Delete(ctx context.Context, key string) error {
	c.deletes.Add(1)
	return c.Storage.Delete(ctx, key)
}

// Get implements logical.Storage.
func (c *countedStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	c.gets.Add(1)
	return c.Storage.Get(ctx, key)
}

// List implements logical.Storage.
func (c *countedStorage) List(ctx context.Context, prefix string) ([]string, error) {
	c.lists.Add(1)
	return c.Storage.List(ctx, prefix)
}

// BenchmarkIssuance is a whole issuance in process, against Pebble. What counts
// is not the time, of which the waiting for the tests' poll is a part, but how
// often storage is written: each time costs a cluster a round of consensus.
func BenchmarkIssuance(b *testing.B) {
	for _, names := range []int{1, 10} {
		b.Run(fmt.Sprintf("names=%d", names), func(b *testing.B) {
			ca := acmetest.CA(b)
			storage := &countedStorage{Storage: &logical.InmemStorage{}}
			m := mountOn(b, storage)
			m.withAccount(ca.DirectoryURL, ca.TrustedCA)
			m.withRole(nil)
			puts, deletes := storage.puts.Load(), storage.deletes.Load()
			certificates := 0
			for b.Loop() {
				certificates++
				issueOne(m, ca, certificates, names)
			}
			b.ReportMetric(float64(storage.puts.Load()-puts)/float64(certificates), "puts/op")
			b.ReportMetric(float64(storage.deletes.Load()-deletes)/float64(certificates), "deletes/op")
		})
	}
}

// issueOne gets the n-th certificate, for as many names as said.
func issueOne(m *mount, ca *acmetest.TestCA, n, names int) {
	m.t.Helper()
	identifiers := make([]string, names)
	for i := range identifiers {
		identifiers[i] = fmt.Sprintf("n%d.r%d.example.com", i, n)
	}
	id := m.order(map[string]any{"identifiers": identifiers})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	for _, name := range identifiers {
		m.fulfill(ca, id, name, "http-01")
	}
	m.awaitStatus("web", id, "completed")
}
