package pkiexternalca

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// TestTidySurvivesItsStorage lets the storage fail at every single write while
// two orders are deleted. Whatever is left by then is harmless, and the next look
// takes the rest.
func TestTidySurvivesItsStorage(t *testing.T) {
	t.Parallel()
	base := newMount(t)
	atRest(base)
	web := &role{Name: "web", Account: "ca", Domains: []string{"example.com"}, Options: []domainmatch.Option{domainmatch.Subdomains}}
	if err := roles.Put(t.Context(), base.storage, "web", web); err != nil {
		t.Fatal(err)
	}
	completed := past{made: 200 * day, state: order.StateCompleted, ended: 200 * day, notAfter: 40 * day}.keep(base)
	past{made: 200 * day, state: order.StateError, ended: 190 * day, name: "failed.example.com"}.keep(base)
	trials := newCrowd(t)
	defer trials.wait()
	writes := tidyTrial(t, base.storage, completed, "", 0)
	for _, kind := range failures {
		for n := 1; n <= writes; n++ {
			trials.run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) { tidyTrial(t, base.storage, completed, kind, n) })
		}
	}
}

// tidyTrial tidies on a storage that fails at the nth write, and gives the number
// of writes.
func tidyTrial(t *testing.T, base logical.Storage, completed *order.Order, kind failure, n int) int {
	whole := copyOf(t, base)
	storage := &frail{Storage: whole, kind: kind}
	m := atRest(mountOn(t, whole, later(0)))
	storage.arm(n)
	_, err := m.tidy(storage)
	if n == 0 && err != nil {
		t.Fatal(err)
	}
	writes := storage.count()
	m.showsNothingHalf(completed)
	if _, err := m.tidy(whole); err != nil {
		t.Fatal(err)
	}
	for _, key := range storedKeys(t, whole) {
		if key != roles.Prefix+"web" {
			t.Errorf("%s is left for ever", key)
		}
	}
	return writes
}

// showsNothingHalf demands that an order is served whole or not at all.
func (m *mount) showsNothingHalf(o *order.Order) {
	m.t.Helper()
	path := "role/web/order/" + string(o.ID)
	for _, read := range []struct {
		path string
		body fields
	}{
		{path + "/status", nil},
		{path + "/fetch-cert", nil},
		{"role/web/cached", fields{"identifiers": "www.example.com"}},
		{"lookup/cert/" + o.Serial, nil},
		{"lookup/order/" + string(o.ID), nil},
	} {
		resp, status, problem := m.send(logical.ReadOperation, read.path, read.body)
		if status != http.StatusOK && status != http.StatusNotFound {
			m.t.Errorf("%s answers %d: %s", read.path, status, problem)
		}
		if status == http.StatusOK && resp.Data["certificate"] != nil && resp.Data["private_key"] == nil {
			m.t.Errorf("%s serves a certificate without its key", read.path)
		}
	}
	if _, status, problem := m.send(logical.ListOperation, "lookup/orders", nil); status != http.StatusOK && status != http.StatusNotFound {
		m.t.Errorf("the list of orders answers %d: %s", status, problem)
	}
}

// TestTidyStops: it ends with the engine, in the middle of an hour, and goes on
// with the next.
func TestTidyStops(t *testing.T) {
	t.Parallel()
	base := atRest(newMount(t))
	for range tidyStep + 1 {
		past{made: 200 * day, state: order.StateError, ended: 190 * day}.keep(base)
	}
	left := func() int { return len(storedBelow(t, base.storage, orders.Prefix)) }
	ever := func(m *mount) { m.tidyRest = time.Hour }
	m := mountOn(t, base.storage, ever)
	stopped := m.b.lifecycle.stopped
	m.unmount()
	eventually(t, "the engine to end while it rests", func() bool { return isClosed(stopped) })
	if n := left(); n != tidyStep+1 {
		t.Errorf("%d orders are left", n)
	}
	mountOn(t, base.storage, later(0))
	eventually(t, "the orders to go", func() bool { return left() == 0 })
}

// TestTidyKeepsWhatItCannotRead: another release may be able to.
func TestTidyKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	m := atRest(newMount(t, later(0)))
	o := past{made: 200 * day, state: order.StateError, ended: 190 * day}.keep(m)
	for _, row := range []struct {
		reason, key, value string
		stays              bool
	}{
		{"an order of a later release", orders.Prefix + orderPath(o.ID), `{"version":99,"data":{}}`, true},
		{"an order in another's place", orders.Prefix + orderPath(o.ID), `{"version":1,"data":{"id":"019b76da-a800-7000-8000-000000000001","state":"error","updated":"2020-01-01T00:00:00Z"}}`, true},
		{"a mark that is damaged is a hint only", orderHours.Prefix + o.ID.Hour(), `garbage`, false},
		{"a certificate that is damaged", certificates.Prefix + orderPath(o.ID), `garbage`, false},
		{"a certificate without a number", certificates.Prefix + orderPath(o.ID), `{"version":1,"data":{}}`, false},
		{"a reference that is damaged", current.Prefix + wishPathOf(t, o), `garbage`, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := atRest(mountOn(t, copyOf(t, m.storage), later(0)))
			if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: row.key, Value: []byte(row.value)}); err != nil {
				t.Fatal(err)
			}
			if _, err := m.tidy(m.storage); err != nil {
				t.Fatal(err)
			}
			if n := len(storedBelow(t, m.storage, orders.Prefix)); (n == 1) != row.stays {
				t.Errorf("%d orders are left", n)
			}
		})
	}
}
