package testbed

import (
	"testing"

	"github.com/miekg/dns"
)

func TestResolverFollowsAliasesFromServerToServer(t *testing.T) {
	t.Parallel()
	b := startTestBIND(t, BINDOptions{Zones: []string{"example.com"}})
	p, err := StartPowerDNS(t.Context(), PowerDNSOptions{Dir: t.TempDir(), Zones: []string{"example.net"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	r, err := StartResolver(t.Context(), ResolverOptions{
		Dir: t.TempDir(), Forward: map[string]string{"example.com": b.Addr, "example.net": p.Addr}, Others: p.Addr,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	if err := p.AddCNAME(t.Context(), "example.net", "alias.example.net", "www.example.com"); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"first", "second"} { // no cache keeps the first
		m := new(dns.Msg).SetUpdate("example.com.")
		added := txtUpdate("www.example.com", value).Ns
		m.RemoveRRset(added)
		m.Insert(added)
		if err := b.update(t.Context(), b.Keys["hmac-sha256"], m); err != nil {
			t.Fatal(err)
		}
		expectTXT(t, r.nameServer, "alias.example.net", value)
	}
}

func TestBINDKeepsItsRecordsOverARestart(t *testing.T) {
	t.Parallel()
	public, err := FreeDNSAddress()
	if err != nil {
		t.Fatal(err)
	}
	b := startTestBIND(t, BINDOptions{Zones: []string{"example.com"}, Public: public})
	if err := b.update(t.Context(), b.Keys["hmac-sha256"], txtUpdate("www.example.com", "here")); err != nil {
		t.Fatal(err)
	}
	mend, err := b.Break("example.com")
	if err != nil {
		t.Fatal(err)
	}
	restart(t, b)
	if values, err := b.TXT(t.Context(), "www.example.com"); err == nil {
		t.Errorf("from a broken zone it answers %q", values)
	}
	if err := mend(); err != nil {
		t.Fatal(err)
	}
	restart(t, b)
	expectTXT(t, b.nameServer, "www.example.com", "here")
	expectTXT(t, nameServer{Addr: public}, "www.example.com", "here")
}

func restart(t *testing.T, b *BIND) {
	t.Helper()
	if err := b.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
}
