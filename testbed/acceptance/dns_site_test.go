package acceptance

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// Zones of the name servers that DNS tests use. Each test has names of its own in them.
const (
	bindZone    = "example.org"      // at the primary
	lateZone    = "late.example.org" // at two servers, of which one never hears of changes
	fragileZone = "fragile.example.org"
	powerZone   = "example.net"       // at PowerDNS
	quietZone   = "quiet.example.net" // at PowerDNS; nobody writes there
)

// nameServers are the DNS in which Vault proves names, and which the CA asks.
type nameServers struct {
	primary *testbed.BIND // of bindZone
	late    *testbed.BIND // of lateZone
	stale   *testbed.BIND // has an old copy of lateZone
	fragile *testbed.BIND // of fragileZone; for tests that stop it
	power   *testbed.PowerDNS
	// resolver is what mounts ask. What none of the others knows it asks the server that has an address for every
	// name. The CA has one of its own: one that both asked would still say, for the rest of a second, that there is
	// no record.
	resolver, outside *testbed.Resolver
}

// dnsSite is a site whose CA asks real name servers, which the plugin may change.
type dnsSite struct {
	site
	nameServers
}

// newDNSSite starts a Vault, a CA and name servers. The mount asks the resolver, every second, for at most a minute.
// The CA has profiles by which certificates are valid for so long; without any, its own.
func newDNSSite(t *testing.T, profiles map[string]time.Duration) dnsSite {
	t.Helper()
	s := dnsSite{site{&testbed.Bed{Binaries: shared.Binaries, Dir: t.TempDir(), DNS: shared.DNS}}, newNameServers(t)}
	var err error
	s.Pebble, err = testbed.StartPebble(t.Context(), testbed.PebbleOptions{
		Binary: s.Binaries.Pebble, Dir: s.Dir, Resolver: s.outside.Addr, Profiles: profiles,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Pebble.Stop)
	if s.Web, err = testbed.StartWebServer(t.Context(), s.Pebble.HTTPPort, filepath.Join(s.Dir, "www")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Web.Stop)
	s.startVault(t)
	return s
}

// withVault is the same site with a Vault of its own, for tests that break that.
func (s dnsSite) withVault(t *testing.T) dnsSite {
	t.Helper()
	bed := *s.Bed
	bed.Dir = t.TempDir()
	s.Bed = &bed
	s.startVault(t)
	return s
}

// startVault starts a Vault with the plugin and an account at the CA. At its end nothing that it logged may hold a
// secret of the name servers.
func (s dnsSite) startVault(t *testing.T) {
	t.Helper()
	vault, err := testbed.StartVault(t.Context(), testbed.VaultOptions{Binary: s.Binaries.Vault, Dir: s.Dir, LogLevel: "trace"})
	if err != nil {
		t.Fatal(err)
	}
	s.Vault = vault
	t.Cleanup(func() {
		s.Vault.Stop()
		if reportRaces(s.site) != 0 {
			t.Error("the plugin has data races")
		}
		s.checkNoSecretLogged(t)
	})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.write(t, "config", fields{"nameservers": s.resolver.Addr, "propagation_interval": "1s", "propagation_timeout": "60s"})
}

func (s dnsSite) checkNoSecretLogged(t *testing.T) {
	log, err := os.ReadFile(s.Vault.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	s.checkNoSecret(t, string(log))
}

// newNameServers starts the DNS for the length of a test.
func newNameServers(t *testing.T) nameServers {
	t.Helper()
	public := publicAddresses(t, 4)
	var n nameServers
	n.primary = startBIND(t, testbed.BINDOptions{Zones: []string{bindZone}, Public: public[0]})
	both := public[1:3]
	n.late = startBIND(t, testbed.BINDOptions{Zones: []string{lateZone}, Public: both[0], NameServers: both})
	n.stale = startBIND(t, testbed.BINDOptions{Zones: []string{lateZone}, Public: both[1], NameServers: both})
	n.fragile = startBIND(t, testbed.BINDOptions{Zones: []string{fragileZone}})
	var err error
	n.power, err = testbed.StartPowerDNS(t.Context(), testbed.PowerDNSOptions{Dir: t.TempDir(), Zones: []string{powerZone, quietZone}, Public: public[3]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.power.Stop)
	forward := map[string]string{
		bindZone: n.primary.Addr, lateZone: n.late.Addr, fragileZone: n.fragile.Addr, powerZone: n.power.Addr,
	}
	n.resolver, n.outside = startResolver(t, forward), startResolver(t, forward)
	return n
}

// startResolver asks the servers of zones, and the one that has an address for every name.
func startResolver(t *testing.T, forward map[string]string) *testbed.Resolver {
	t.Helper()
	r, err := testbed.StartResolver(t.Context(), testbed.ResolverOptions{Dir: t.TempDir(), Others: shared.DNS.Resolver, Forward: forward})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

func startBIND(t *testing.T, o testbed.BINDOptions) *testbed.BIND {
	t.Helper()
	o.Dir = t.TempDir()
	b, err := testbed.StartBIND(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Stop() }) // of the process that there is then
	return b
}

// publicAddresses are where name servers can be reached by who follows NS records.
func publicAddresses(t *testing.T, n int) []string {
	t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		var err error
		if addresses[i], err = testbed.FreeDNSAddress(); err != nil {
			t.Fatal(err)
		}
	}
	return addresses
}
