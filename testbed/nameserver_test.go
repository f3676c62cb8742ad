package testbed

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func startTestBIND(t *testing.T, o BINDOptions) *BIND {
	t.Helper()
	o.Dir = t.TempDir()
	b, err := StartBIND(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// txtUpdate adds a TXT record to example.com.
func txtUpdate(name, value string) *dns.Msg {
	m := new(dns.Msg).SetUpdate("example.com.")
	m.Insert([]dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 5}, Txt: []string{value},
	}})
	return m
}

// expectTXT waits until a server has just this value at a name.
func expectTXT(t *testing.T, server nameServer, name, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), nameServerLimit)
	defer cancel()
	err := Until(ctx, func(ctx context.Context) error {
		values, err := server.TXT(ctx, name)
		if err == nil && !slices.Equal(values, []string{value}) {
			err = fmt.Errorf("%s has %q, want %q", name, values, value)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestBINDTakesUpdatesOfItsKeys(t *testing.T) {
	t.Parallel()
	b := startTestBIND(t, BINDOptions{Zones: []string{"example.com", "example.net"}})
	for algorithm, key := range b.Keys {
		name := algorithm + ".example.com"
		if err := b.update(t.Context(), key, txtUpdate(name, algorithm)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		expectTXT(t, b.nameServer, name, algorithm)
	}
	err := b.update(t.Context(), b.Powerless, txtUpdate("www.example.com", "x"))
	if err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("an update with the powerless key: %v", err)
	}
}

func TestBINDDoesNotAskTheWorld(t *testing.T) {
	t.Parallel()
	b := startTestBIND(t, BINDOptions{Zones: []string{"example.com"}})
	if values, err := b.TXT(t.Context(), "www.example.org"); err != nil || len(values) > 0 {
		t.Errorf("a name of nobody's: %q, %v", values, err)
	}
}

func TestBINDFollowsAliases(t *testing.T) {
	t.Parallel()
	b := startTestBIND(t, BINDOptions{Zones: []string{"example.com", "example.net"}})
	if err := b.AddCNAME(t.Context(), "example.net", "alias.example.net", "www.example.com"); err != nil {
		t.Fatal(err)
	}
	if err := b.update(t.Context(), b.Keys["hmac-sha256"], txtUpdate("www.example.com", "here")); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, b.nameServer, "alias.example.net", "here")
}

func TestBINDCopiesItsPrimary(t *testing.T) {
	t.Parallel()
	var addresses []string
	for range 2 {
		address, err := FreeDNSAddress()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, address)
	}
	o := BINDOptions{Zones: []string{"example.com"}, Public: addresses[0], NameServers: addresses}
	primary := startTestBIND(t, o)
	o.Public, o.Primary = addresses[1], primary
	secondary := startTestBIND(t, o)
	if err := primary.update(t.Context(), primary.Keys["hmac-sha256"], txtUpdate("www.example.com", "here")); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, secondary.nameServer, "www.example.com", "here")
	for _, address := range addresses {
		expectTXT(t, nameServer{Addr: address}, "www.example.com", "here")
	}
}

func TestPowerDNSServesItsZones(t *testing.T) {
	t.Parallel()
	public, err := FreeDNSAddress()
	if err != nil {
		t.Fatal(err)
	}
	p, err := StartPowerDNS(t.Context(), PowerDNSOptions{Dir: t.TempDir(), Zones: []string{"example.com", "example.net"}, Public: public})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	if err := p.set(t.Context(), "example.com", "www.example.com", "TXT", `"here"`); err != nil {
		t.Fatal(err)
	}
	if err := p.AddCNAME(t.Context(), "example.com", "alias.example.com", "www.example.com"); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, nameServer{Addr: p.Addr}, "alias.example.com", "here")
	expectTXT(t, p.nameServer, "www.example.com", "here")
	expectTXT(t, nameServer{Addr: p.Public}, "www.example.com", "here")
}

func TestNameServersLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	b := startTestBIND(t, BINDOptions{Zones: []string{"example.com"}})
	b.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.TXT(ctx, "example.com"); err == nil {
		t.Error("named still answers after it was stopped")
	}
	expectGroupGone(t, b.PID())
}
