package pkiexternalca

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// BenchmarkFinishedOrders shows what finished orders cost that nobody asks for:
// nothing. A tick holds up Vault's step-down, and new-order is what a fleet does
// all at once.
func BenchmarkFinishedOrders(b *testing.B) {
	for _, finished := range []int{0, 10_000, 200_000} {
		storage := &logical.InmemStorage{}
		wanted := storeFinished(b, storage, finished)
		m := mountOn(b, storage)
		path := "role/web/order/" + string(wanted)
		for _, one := range []struct {
			name string
			req  logical.Request
		}{
			{"tick", logical.Request{Operation: logical.RollbackOperation}},
			{"status", logical.Request{Operation: logical.ReadOperation, Path: path + "/status"}},
			{"fetch-cert", logical.Request{Operation: logical.ReadOperation, Path: path + "/fetch-cert"}},
			{"cached", logical.Request{Operation: logical.ReadOperation, Path: "role/web/cached", Data: map[string]any{"identifiers": "www.example.com"}}},
		} {
			b.Run(fmt.Sprintf("%s/%d", one.name, finished), func(b *testing.B) { repeat(b, m, &one.req) })
		}
		// With the engine at rest, so that what it does with the orders is not
		// measured too.
		m.b.stop(true)
		b.Run(fmt.Sprintf("new-order/%d", finished), func(b *testing.B) {
			repeat(b, m, &logical.Request{
				Operation: logical.UpdateOperation, Path: "role/web/new-order",
				Data: map[string]any{"identifiers": "www.example.com"},
			})
		})
	}
}

// repeat sends the same request again and again.
func repeat(b *testing.B, m *mount, req *logical.Request) {
	b.Helper()
	b.ReportAllocs()
	req.Storage = m.storage
	for b.Loop() {
		resp, err := m.b.HandleRequest(b.Context(), req)
		if err != nil || resp.IsError() {
			b.Fatalf("%s %s: %v %v", req.Operation, req.Path, resp, err)
		}
	}
}

// BenchmarkActiveOrders is what a node does with the active orders when it
// becomes the leader, and how much memory they take from then on.
func BenchmarkActiveOrders(b *testing.B) {
	const count = 10_000
	storage := &logical.InmemStorage{}
	for i := range count {
		storeActive(b, storage, i)
	}
	for b.Loop() {
		node := newBackend(time.Now)
		e := node.newEngine(storage)
		before := heapInUse()
		if err := node.load(b.Context(), storage, e); err != nil || e.Len() != count {
			b.Fatalf("loaded %d orders: %v", e.Len(), err)
		}
		b.ReportMetric(float64(heapInUse()-before)/count, "B/order")
		runtime.KeepAlive(node)
		runtime.KeepAlive(e)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// storeFinished stores the role "web", one completed order for www.example.com,
// whose id it gives, and as many others, made within the last year. These share
// their values with the first: what is looked for are costs that grow with the
// number of keys.
func storeFinished(b *testing.B, s logical.Storage, others int) order.ID {
	b.Helper()
	o := storeCompleted(b, s)
	values := map[string][]byte{}
	for _, key := range recordsOf(o.ID, 0) {
		values[prefixOf(key)] = mustGetValue(b, s, key)
	}
	for i := range others {
		made := time.Now().Add(-365 * 24 * time.Hour * time.Duration(i+1) / time.Duration(others))
		for _, key := range recordsOf(idAt(b, made), i+1) {
			mustPutValue(b, s, key, values[prefixOf(key)])
		}
	}
	return o.ID
}

// recordsOf are the keys of everything that belongs to the n-th completed order.
func recordsOf(id order.ID, n int) []string {
	name := "www.example.com"
	if n > 0 {
		name = fmt.Sprintf("n%d.example.com", n)
	}
	return []string{
		orders.Prefix + orderPath(id), orderHours.Prefix + id.Hour(),
		orderKeys.Prefix + orderPath(id), certificates.Prefix + orderPath(id),
		serials.Prefix + serialPath(fmt.Sprintf("%016x", n)), current.Prefix + standingOf(name),
	}
}

// standingOf is the path of the standing for a name.
func standingOf(name string) string {
	path, err := currentPath(&order.Order{Role: "web", Identifiers: []order.Identifier{{Identifier: acme.Identifier{Value: name}}}})
	if err != nil {
		panic(err)
	}
	return path
}

func prefixOf(key string) string {
	prefix, _, _ := strings.Cut(key, "/")
	return prefix
}

// storeCompleted stores an order as the engine leaves it behind.
func storeCompleted(b *testing.B, s logical.Storage) *order.Order {
	b.Helper()
	key, err := keys.Generate(keys.EC256)
	if err != nil {
		b.Fatal(err)
	}
	id := idAt(b, time.Now())
	o := newOrderRecord(id)
	o.State, o.Due, o.Serial = order.StateCompleted, time.Time{}, "00:00:00:00:00:00:00:00"
	text := "-----BEGIN CERTIFICATE-----\n" + strings.Repeat("A", 1200) + "\n-----END CERTIFICATE-----\n"
	c := &order.Certificate{Leaf: text, Chain: []string{text}, Serial: o.Serial, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	err = errors.Join(
		roles.Put(b.Context(), s, "web", &role{
			Name: "web", Account: "ca", Domains: []string{"example.com"}, Options: []domainmatch.Option{domainmatch.Subdomains},
			ChallengeTypes: acme.ChallengeTypes, KeyKind: keys.EC256, Population: order.CNFirst,
		}),
		createOrder(b.Context(), s, o),
		active.Delete(b.Context(), s, activePath(o)),
		safe{newBackend(time.Now), s}.KeepKey(b.Context(), id, key),
		safe{newBackend(time.Now), s}.KeepCertificate(b.Context(), o, c),
	)
	if err != nil {
		b.Fatal(err)
	}
	return o
}

// storeActive stores the n-th order that waits for its challenges.
func storeActive(b testing.TB, s logical.Storage, n int) {
	b.Helper()
	storeWaiting(b, s, n, time.Now().Add(time.Hour))
}

// storeWaiting stores the n-th order that waits for its challenges until a time.
func storeWaiting(b testing.TB, s logical.Storage, n int, due time.Time) {
	b.Helper()
	o := newOrderRecord(idAt(b, time.Now()))
	o.State, o.Due, o.URL = order.StateAwaiting, due, fmt.Sprintf("https://ca.example/order/%d", n)
	if err := createOrder(b.Context(), s, o); err != nil {
		b.Fatal(err)
	}
}

func newOrderRecord(id order.ID) *order.Order {
	o := order.New(id, "web", "ca", time.Now())
	name := acme.Identifier{Type: acme.DNS, Value: "www.example.com"}
	o.Identifiers = []order.Identifier{{Requested: name.Value, Identifier: name}}
	o.Allowed, o.KeyKind, o.Population = acme.ChallengeTypes, keys.EC256, order.CNFirst
	return o
}

// idAt is the id of an order that was made at a time.
func idAt(b testing.TB, at time.Time) order.ID {
	b.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		b.Fatal(err)
	}
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(at.UnixMilli()))
	copy(id[:6], milliseconds[2:])
	return order.ID(id.String())
}

func mustGetValue(b *testing.B, s logical.Storage, key string) []byte {
	b.Helper()
	entry, err := s.Get(b.Context(), key)
	if err != nil || entry == nil {
		b.Fatalf("%s: %v, %v", key, entry, err)
	}
	return entry.Value
}

func mustPutValue(b *testing.B, s logical.Storage, key string, value []byte) {
	b.Helper()
	if err := s.Put(b.Context(), &logical.StorageEntry{Key: key, Value: value}); err != nil {
		b.Fatal(err)
	}
}
