package pkiexternalca

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

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
