package pkiexternalca

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// ledger is a storage that writes down what is done with the records below each
// prefix.
type ledger struct {
	logical.Storage
	mu   sync.Mutex
	done map[string]int // by "put order/"
}

func newLedger() *ledger { return &ledger{Storage: &logical.InmemStorage{}, done: map[string]int{}} }

func (l *ledger) note(verb, key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[verb+" "+prefixOf(key)+"/"]++
}

// reset begins anew, and gives what was done until now.
func (l *ledger) reset() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := l.done
	l.done = map[string]int{}
	return done
}

// Get implements logical.Storage.
func (l *ledger) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	l.note("get", key)
	return l.Storage.Get(ctx, key)
}

// Put implements logical.Storage.
func (l *ledger) Put(ctx context.Context, entry *logical.StorageEntry) error {
	l.note("put", entry.Key)
	return l.Storage.Put(ctx, entry)
}

// Delete implements logical.Storage.
func (l *ledger) Delete(ctx context.Context, key string) error {
	l.note("delete", key)
	return l.Storage.Delete(ctx, key)
}

// List implements logical.Storage.
func (l *ledger) List(ctx context.Context, prefix string) ([]string, error) {
	l.note("list", prefix)
	return l.Storage.List(ctx, prefix)
}

// access is what one certificate may cost of one kind, and why it must.
type access struct {
	what    string
	times   int
	because string
}

// compare holds what was done to a table.
func (l *ledger) compare(t *testing.T, doing string, table []access) {
	t.Helper()
	done := l.reset()
	for _, row := range table {
		if done[row.what] != row.times {
			t.Errorf("%s: %s: %d times, want %d (%s)", doing, row.what, done[row.what], row.times, row.because)
		}
		delete(done, row.what)
	}
	for _, what := range slices.Sorted(maps.Keys(done)) {
		t.Errorf("%s: %s: %d times, for which there is no reason", doing, what, done[what])
	}
}

// TestAccessesOfOneCertificate: each access to storage is a round trip to Vault's
// process, and each write a round of consensus and a write to disk. Here is what a
// certificate needs of them, however many names it has.
func TestAccessesOfOneCertificate(t *testing.T) {
	t.Parallel()
	for _, names := range []int{1, 3} {
		ca, l := acmetest.Script(t), newLedger()
		m := mountOn(t, l)
		m.withAccount(ca.DirectoryURL, ca.TrustedCA)
		m.withRole(nil)
		m.obtain(fields{"identifiers": "earlier.example.com"}) // the hour is marked, the account known
		var identifiers []string
		for i := range names {
			identifiers = append(identifiers, fmt.Sprintf("n%d.example.com", i))
		}
		l.reset()
		id := m.order(fields{"identifiers": identifiers})
		m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
		m.report(id)
		m.awaitStatus("web", id, "completed")
		eventually(t, "the mark of the order to go", func() bool { return len(storedBelow(t, l.Storage, active.Prefix)) == 0 })
		l.compare(t, fmt.Sprintf("a certificate for %d names", names), []access{
			{"get limit-set/", 1, "has the CA refused these names?"},
			{"get current/", 1, "is an order under way for them?"},
			{"put current/", 2, "which order is; and then which has the certificate"},
			{"put active/", 1, "whoever becomes the leader must find the order"},
			{"put order/", 5 + names, "new; its challenges; each report, the last of which leads on; the CA's validation; the CSR; the result"},
			{"put order-key/", 1, "before the CA has the CSR"},
			{"put certificate/", 1, "what it is all about"},
			{"put serial/", 1, "lookup/cert finds it"},
			{"delete active/", 1, "it is done"},
		})
		m.read("role/web/order/"+id+"/fetch-cert", nil)
		l.compare(t, "fetch-cert", []access{{"get order-key/", 1, "no private key is kept in memory"}})
		m.read(cached, fields{"identifiers": identifiers})
		l.compare(t, "cached", []access{{"get order-key/", 1, "no private key is kept in memory"}})
		m.read("role/web/order/"+id+"/status", nil)
		m.read("role/web", nil)
		l.compare(t, "reading what is known", nil)
	}
}
