package pkiexternalca

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// counted is a storage that counts what is read of the providers.
type counted struct {
	logical.Storage
	reads atomic.Int64
}

func (c *counted) see(key string) {
	if strings.HasPrefix(key, "dns-provider/") {
		c.reads.Add(1)
	}
}

// Get implements logical.Storage.
func (c *counted) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	c.see(key)
	return c.Storage.Get(ctx, key)
}

// List implements logical.Storage.
func (c *counted) List(ctx context.Context, prefix string) ([]string, error) {
	c.see(prefix)
	return c.Storage.List(ctx, prefix)
}

// TestThousandProviders: each name goes to the provider that is meant, and the
// providers are read once, not for each name.
func TestThousandProviders(t *testing.T) {
	t.Parallel()
	const count = 1000
	d := newDebtor(t)
	for i := range count {
		d.provider(fmt.Sprintf("team%d", i), fields{"identifiers": fmt.Sprintf("team%d.example.com,*.team%[1]d.example.com", i)})
	}
	storage := &counted{Storage: d.storage}
	p := prover{d.b, storage}
	locate := func(name string) string {
		place, ok, err := p.Locate(t.Context(), &order.Order{}, acme.Identifier{Type: acme.DNS, Value: name})
		if err != nil || !ok {
			t.Fatalf("%s is given to nobody (%v)", name, err)
		}
		return place.Provider
	}
	for name, want := range map[string]string{
		"www.team7.example.com":    "rfc2136/team7",
		"team999.example.com":      "rfc2136/team999",
		"*.team500.example.com":    "rfc2136/team500",
		"www.team1000.example.com": "rfc2136/internal",
	} {
		if got := locate(name); got != want {
			t.Errorf("%s is given to %s, want %s", name, got, want)
		}
	}
	before := storage.reads.Load()
	for i := range 100 {
		locate(fmt.Sprintf("www.team%d.example.com", i))
	}
	if n := storage.reads.Load() - before; n != 0 {
		t.Errorf("the providers were read %d times for names alone", n)
	}
	if listed := d.list("config/dns/", nil); len(listed) != count+1 {
		t.Errorf("%d providers are listed", len(listed))
	}
}

// TestReplacedProviderIsForgotten: whoever holds a provider's settings while they
// are replaced must not bring the old credentials back.
func TestReplacedProviderIsForgotten(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	const label = "rfc2136/internal"
	old, err := d.b.dns.entry(t.Context(), d.storage, label)
	if err != nil {
		t.Fatal(err)
	}
	d.provider("internal", fields{"nameserver": "127.0.0.1:1"})
	replaced, err := d.b.dns.entry(t.Context(), d.storage, label)
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.b.dns.open(old) // by somebody who was slow
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.b.dns.open(replaced)
	if err != nil || first == second {
		t.Errorf("the old provider is used in place of the new one (%v)", err)
	}
	if again, err := d.b.dns.open(replaced); err != nil || again != second {
		t.Errorf("the provider is opened for each record (%v)", err)
	}
}

// TestUnreadableProvider: a provider that this release cannot read serves nobody,
// and keeps nobody from being served by others. What it owes stays owed.
func TestUnreadableProvider(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.provider("team", fields{"identifiers": "team.example.com"})
	d.relay.judge(removals(dns.RcodeServerFailure))
	d.addRecord("rfc2136/team", "team.example.com")
	d.unmount()
	d.relay.judge(nil)
	const key = "dns-provider/rfc2136/team"
	readable, err := d.storage.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(`{"version":99,"data":{}}`)}); err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.obtain(fields{"identifiers": "www.example.com"})
	eventually(t, "the debt of the other provider to be paid", func() bool { return len(d.owed()) == 1 })
	d.has("team.example.com", 1, 1)
	d.unmount()
	if err := d.storage.Put(t.Context(), readable); err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.isFree("team.example.com", "www.example.com")
}

// TestUnreadableNotes: what cannot be read is left alone, the record too: an order
// may still need it.
func TestUnreadableNotes(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	release := d.hold()
	id := d.holdsOrder("web", fields{"identifiers": "www.example.com"})
	d.unmount()
	release()
	for _, key := range []string{orders.Prefix + orderPath(order.ID(id)), debts.Prefix + "rfc2136/internal/damaged"} {
		if err := d.storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte("{")}); err != nil {
			t.Fatal(err)
		}
	}
	d.restart()
	d.obtain(fields{"identifiers": "api.example.com"})
	eventually(t, "what can be read to be paid", func() bool { return len(d.values("api.example.com")) == 0 })
	d.atRest()
	d.has("www.example.com", 1, 2)
}
