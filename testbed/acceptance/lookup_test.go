package acceptance

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLookupCertTakesEveryNotation(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o, cert := shared.issue(t, role, domain)
	serial := cert.text(t, "serial_number")
	plain := strings.ReplaceAll(serial, ":", "")
	for _, written := range []string{
		serial, strings.ToUpper(serial), strings.ReplaceAll(serial, ":", "-"), plain, strings.ToUpper(plain),
	} {
		found := shared.read(t, "lookup/cert/"+written)
		want := fields{
			"order_id": o.id, "role_name": role, "order_status": stateCompleted,
			"not_before": cert["not_before"], "not_after": cert["not_after"],
		}
		for name, value := range want {
			if found[name] != value {
				t.Errorf("%s: %s is %v, want %v", written, name, found[name], value)
			}
		}
		if got := found.texts(t, "identifiers"); !slices.Equal(got, []string{domain}) {
			t.Errorf("%s: identifiers are %q", written, got)
		}
	}
	if text := shared.vault(t, "read", mount+"/lookup/cert/"+serial); strings.Contains(text, "PRIVATE KEY") {
		t.Error("lookup shows a private key")
	}
	shared.call(t, "GET", "lookup/cert/00:11:22:33", nil).expect(t, 404)
}

func TestLookupOrder(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o, cert := shared.issue(t, role, domain)
	found := shared.read(t, "lookup/order/"+o.id)
	want := fields{
		"role_name": role, "order_status": stateCompleted, "status": stateCompleted, "serial_number": cert["serial_number"],
	}
	for name, value := range want {
		if found[name] != value {
			t.Errorf("%s is %v, want %v", name, found[name], value)
		}
	}
	for name := range found {
		if name == "private_key" || name == "certificate" {
			t.Errorf("lookup shows %s", name)
		}
	}
}

func TestListsHoldTheOrder(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o := shared.newOrder(t, role, fields{"identifiers": []string{domain}})
	o.await(t, stateAwaiting)
	for _, path := range []string{"role/" + role + "/active-orders", "lookup/orders", "lookup/orders/recent"} {
		if listed := shared.vault(t, "list", mount+"/"+path); !strings.Contains(listed, o.id) {
			t.Errorf("vault list %s lacks %s:\n%s", path, o.id, listed)
		}
	}
	o.complete(t)
	shared.settle(t, role)
	if got := shared.must(t, "LIST", "lookup/orders", nil).texts(t, "keys"); !slices.Contains(got, o.id) {
		t.Error("lookup/orders forgot a completed order")
	}
}

func TestRecentOrders(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	older := shared.newOrder(t, role, fields{"identifiers": []string{"a." + domain}})
	newer := shared.newOrder(t, role, fields{"identifiers": []string{"b." + domain}})
	for _, within := range []string{"", "?within=1h", "?within=168h", "?within=7200"} {
		listed := shared.must(t, "LIST", "lookup/orders/recent"+within, nil)
		keys := listed.texts(t, "keys")
		i, j := slices.Index(keys, newer.id), slices.Index(keys, older.id)
		if i < 0 || j < 0 || i > j {
			t.Errorf("recent%s: newest first expected, %s is at %d and the older %s at %d", within, newer.id, i, older.id, j)
		}
		info := fields(listed.object(t, "key_info").object(t, newer.id))
		if info["role_name"] != role {
			t.Errorf("recent%s: key_info is %v, want role_name %s", within, info, role)
		}
		if _, err := time.Parse(time.RFC3339, info.text(t, "creation_date")); err != nil {
			t.Errorf("recent%s: creation_date: %v", within, err)
		}
	}
	for _, within := range []string{"59m", "169h", "long", "-1h", "0"} {
		shared.call(t, "LIST", "lookup/orders/recent?within="+within, nil).expect(t, 400, "within")
	}
}
