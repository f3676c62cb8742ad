package pkiexternalca

import (
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// TestLookupCert: a serial number in every way that people and programs write it.
func TestLookupCert(t *testing.T) {
	t.Parallel()
	m, _ := withPebble(t, nil)
	id, got := m.obtain(fields{"identifiers": "Www.example.com"})
	serial := got["serial_number"].(string)
	want := fields{
		"order_id": id, "order_status": "completed", "status": "completed", "role_name": "web", "identifiers": []string{"Www.example.com"},
		"not_before": got["not_before"], "not_after": got["not_after"],
	}
	bare := strings.ReplaceAll(serial, ":", "")
	number, _ := new(big.Int).SetString(bare, 16)
	for _, spelling := range []string{
		serial, strings.ToUpper(serial), strings.ReplaceAll(serial, ":", "-"), bare, strings.ToUpper(bare),
		number.Text(16), "00" + bare, "00:" + serial,
	} {
		found := m.read("lookup/cert/"+spelling, nil)
		if at, err := time.Parse(time.RFC3339, found["renew_at"].(string)); err != nil || !at.After(time.Now()) {
			t.Errorf("the certificate is to be renewed at %v", found["renew_at"])
		}
		delete(found, "renew_at") // the rest is known
		if delete(found, "ari_window"); !sameJSON(t, found, want) {
			t.Errorf("%s leads to %v, want %v", spelling, found, want)
		}
	}
	m.refused(http.StatusNotFound, logical.ReadOperation, "lookup/cert/12:34", nil, "12:34")
	for _, garbage := range []string{"xyz", "12:3g", strings.Repeat("ab", 50), "::", "0x12"} {
		m.refused(http.StatusBadRequest, logical.ReadOperation, "lookup/cert/"+garbage, nil, "serial", garbage)
	}
}

// TestLookupOrder shows operators what a role's user sees.
func TestLookupOrder(t *testing.T) {
	t.Parallel()
	m, _ := withPebble(t, nil)
	id, _ := m.obtain(fields{"identifiers": "www.example.com"})
	if byRole, found := m.read("role/web/order/"+id+"/status", nil), m.read("lookup/order/"+id, nil); !sameJSON(t, byRole, found) {
		t.Errorf("the lookup shows %v, the role %v", found, byRole)
	}
	for _, unknown := range []string{"none", uuid.NewString(), strings.ToUpper(id)} {
		m.refused(http.StatusNotFound, logical.ReadOperation, "lookup/order/"+unknown, nil, unknown)
	}
}

// storeOrder stores an order as if it had been made and completed at a time.
func (m *mount) storeOrder(made time.Time) string {
	m.t.Helper()
	o := order.New(idMadeAt(m.t, made), "web", "ca", made)
	o.Identifiers = []order.Identifier{{Requested: "www.example.com", Identifier: acme.Identifier{Type: acme.DNS, Value: "www.example.com"}}}
	o.State, o.Due = order.StateCompleted, time.Time{}
	o.Serial, o.NotAfter = "01:02", time.Now().Add(time.Hour) // young enough to be kept
	if err := createOrder(m.t.Context(), m.storage, o); err != nil {
		m.t.Fatal(err)
	}
	return string(o.ID)
}

// idMadeAt makes an order id of a time (RFC 9562 §5.7).
func idMadeAt(t testing.TB, made time.Time) order.ID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	for i, ms := 5, made.UnixMilli(); i >= 0; i-- {
		id[i], ms = byte(ms), ms>>8
	}
	return order.ID(id.String())
}

// TestLookupOrders lists all orders by age, and goes on behind any of them.
func TestLookupOrders(t *testing.T) {
	t.Parallel()
	m := atRest(newMount(t)) // an hour long past that is being filled would be taken for an empty one
	m.refused(http.StatusNotFound, logical.ListOperation, "lookup/orders", nil)
	var ids []string
	for _, age := range []time.Duration{9000 * time.Hour, 30 * time.Hour, 29*time.Hour + time.Minute, 29 * time.Hour, time.Hour, time.Minute, 0} {
		ids = append(ids, m.storeOrder(time.Now().Add(-age)))
	}
	if got := m.list("lookup/orders/", nil); !slices.Equal(got, ids) {
		t.Errorf("the orders are %q, want %q", got, ids)
	}
	for i, id := range ids {
		if got := m.list("lookup/orders", fields{"after": id}); !slices.Equal(got, ids[i+1:]) && len(got)+len(ids[i+1:]) > 0 {
			t.Errorf("after %s there are %q, want %q", id, got, ids[i+1:])
		}
	}
	m.refused(http.StatusBadRequest, logical.ListOperation, "lookup/orders", fields{"after": "yesterday"}, "after", "yesterday")
}

// TestLookupOrdersIsBounded: a long list comes in parts, and says so.
func TestLookupOrdersIsBounded(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	made := time.Now().Add(-time.Hour)
	for i := range mostListed + 1 {
		id := idMadeAt(t, made.Add(time.Duration(i)*time.Millisecond))
		if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: orders.Prefix + orderPath(id)}); err != nil {
			t.Fatal(err)
		}
	}
	m.storeOrder(made) // marks the hour
	m.storeOrder(time.Now())
	resp, status, problem := m.send(logical.ListOperation, "lookup/orders", nil)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, problem)
	}
	first := resp.Data["keys"].([]string)
	last := first[len(first)-1]
	if len(first) != mostListed || len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], "after="+last) {
		t.Errorf("there are %d orders, with the warnings %q", len(first), resp.Warnings)
	}
	if rest := m.list("lookup/orders", fields{"after": last}); len(rest) != 3 {
		t.Errorf("after the first part there are %d orders, want 3", len(rest))
	}
}

// TestLookupRecent is bounded in both directions, and shows the newest first.
func TestLookupRecent(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.refused(http.StatusNotFound, logical.ListOperation, "lookup/orders/recent", nil)
	ages := []time.Duration{0, 59 * time.Minute, 61 * time.Minute, 167 * time.Hour, 169 * time.Hour}
	ids := make([]string, len(ages))
	for i, age := range ages {
		ids[i] = m.storeOrder(time.Now().Add(-age))
	}
	for _, row := range []struct {
		within any
		want   []string
	}{
		{nil, ids[:2]}, // an hour
		{"1h", ids[:2]},
		{3600, ids[:2]},
		{"2h", ids[:3]},
		{"168h", ids[:4]},
		{"604800", ids[:4]},
	} {
		resp, status, problem := m.send(logical.ListOperation, "lookup/orders/recent", with(fields{}, fields{"within": row.within}))
		if status != http.StatusOK {
			t.Fatalf("within %v: status %d: %s", row.within, status, problem)
		}
		if got := resp.Data["keys"].([]string); !slices.Equal(got, row.want) {
			t.Errorf("within %v there are %q, want %q", row.within, got, row.want)
		}
		info := resp.Data["key_info"].(fields)[ids[0]].(fields)
		for _, name := range []string{"creation_date", "last_update"} {
			if _, err := time.Parse(time.RFC3339, info[name].(string)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		want := fields{
			"role_name": "web", "identifiers": []string{"www.example.com"}, "order_status": "completed", "status": "completed",
			"creation_date": info["creation_date"], "last_update": info["last_update"],
		}
		if !sameJSON(t, info, want) {
			t.Errorf("key_info is %v, want %v", info, want)
		}
	}
	for _, within := range []any{"59m", "169h", 0, "8d"} {
		m.refused(http.StatusBadRequest, logical.ListOperation, "lookup/orders/recent", fields{"within": within}, "within", "1h", "168h")
	}
	m.refused(http.StatusBadRequest, logical.ListOperation, "lookup/orders/recent", fields{"within": -3600}, "within", "negative")
}

// TestLookupRecentIsBounded: at most 500, the newest ones.
func TestLookupRecentIsBounded(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	now := time.Now()
	oldest := m.storeOrder(now.Add(-10 * time.Minute))
	for i := range 500 {
		m.storeOrder(now.Add(-time.Duration(i) * time.Millisecond))
	}
	got := m.list("lookup/orders/recent", fields{"within": "168h"})
	if len(got) != 500 || slices.Contains(got, oldest) || !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("there are %d orders, or not the newest, or not the newest first", len(got))
	}
}
