package pkiexternalca

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// TestMaxRequests: what is shown holds, at once and after a restart, and what is
// refused changes nothing.
func TestMaxRequests(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	holds := func(want int, reason string) {
		t.Helper()
		shown := m.read("config", nil)["max_requests_per_account"]
		if got := m.b.authorities.flights.Most(); got != want || shown != want {
			t.Errorf("%s: %d requests may be in flight, and %v are shown, want %d", reason, got, shown, want)
		}
		if got := m.b.most(accountLine + "ca"); got != want {
			t.Errorf("%s: %d orders are worked on at once, want %d", reason, got, want)
		}
	}
	holds(defaultRequests, "nobody has said anything")
	for _, row := range []struct {
		body   fields
		want   int
		reason string
	}{
		{fields{"max_requests_per_account": 40}, 40, "a number"},
		{fields{"max_requests_per_account": "7"}, 7, "a number as text, as the command line sends it"},
		{fields{"propagation_interval": "9s"}, 7, "what is not sent stays"},
		{fields{"max_requests_per_account": 1}, 1, "the least"},
		{fields{"max_requests_per_account": mostRequests}, mostRequests, "the most"},
	} {
		m.write("config", row.body)
		holds(row.want, row.reason)
	}
	for _, wrong := range []any{0, -1, mostRequests + 1, "many", json.Number("1.5")} {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, "config", fields{"max_requests_per_account": wrong}, "max_requests_per_account")
	}
	holds(mostRequests, "what was refused")
	m.unmount()
	m = mountOn(t, m.storage)
	eventually(t, "the settings to be read after a restart", func() bool { return m.b.authorities.flights.Most() == mostRequests })
	m.delete("config", nil)
	holds(defaultRequests, "after the return to the defaults")
}

// TestConfigThatCannotBeRead stops nobody: the work goes on with the defaults.
func TestConfigThatCannotBeRead(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.unmount()
	future := &logical.StorageEntry{Key: configs.Prefix + configName, Value: []byte(`{"version":99}`)}
	if err := m.storage.Put(t.Context(), future); err != nil {
		t.Fatal(err)
	}
	m = mountOn(t, m.storage)
	m.obtain(fields{"identifiers": "www.example.com"})
}
