package acceptance

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// change makes an update of one zone.
func change(t *testing.T, b *testbed.BIND, zone string, make func(*dns.Msg)) {
	t.Helper()
	key := b.Keys["hmac-sha256"]
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	make(m)
	m.SetTsig(dns.Fqdn(key.Name), dns.Fqdn(key.Algorithm), 300, time.Now().Unix())
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{dns.Fqdn(key.Name): key.Secret}}
	answer, _, err := client.ExchangeContext(t.Context(), m, b.Addr)
	if err == nil && answer.Rcode != dns.RcodeSuccess {
		err = fmt.Errorf("%s", dns.RcodeToString[answer.Rcode])
	}
	if err != nil {
		t.Fatalf("an update of %s: %v", zone, err)
	}
}

// insert adds records, each a line of a zone file with absolute names.
func insert(t *testing.T, b *testbed.BIND, zone string, lines ...string) {
	t.Helper()
	change(t, b, zone, func(m *dns.Msg) { m.Insert(records(t, lines)) })
}

func records(t *testing.T, lines []string) []dns.RR {
	t.Helper()
	rrs := make([]dns.RR, len(lines))
	for i, line := range lines {
		var err error
		if rrs[i], err = dns.NewRR(line); err != nil {
			t.Fatal(err)
		}
	}
	return rrs
}

// proofs are the values of all TXT records below a domain, as a transfer of the zone shows them, by name.
func proofs(ctx context.Context, server, zone, domain string) (map[string][]string, error) {
	envelopes, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr(dns.Fqdn(zone)), server)
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for e := range envelopes {
		if e.Error != nil {
			err = e.Error
		}
		for _, rr := range e.RR {
			txt, ok := rr.(*dns.TXT)
			if ok && dns.IsSubDomain(dns.Fqdn(domain), txt.Hdr.Name) {
				name := strings.TrimSuffix(txt.Hdr.Name, ".")
				found[name] = append(found[name], strings.Join(txt.Txt, ""))
			}
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return found, err
}

// awaitProofs waits until there are as many TXT records below a domain, and returns them.
func awaitProofs(t *testing.T, server, zone, domain string, count int) map[string][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var found map[string][]string
	err := testbed.Until(ctx, func(ctx context.Context) (err error) {
		if found, err = proofs(ctx, server, zone, domain); err != nil {
			return err
		}
		n := 0
		for _, values := range found {
			n += len(values)
		}
		if n != count {
			return fmt.Errorf("%s has %d TXT records below %s, want %d: %v", zone, n, domain, count, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// noProofs waits until no TXT record is left below a domain.
func noProofs(t *testing.T, server, zone, domain string) {
	t.Helper()
	awaitProofs(t, server, zone, domain, 0)
}

// catchUp gives the stale server the TXT records that the other has below a domain.
func (n nameServers) catchUp(t *testing.T, domain string) {
	t.Helper()
	found, err := proofs(t.Context(), n.late.Addr, lateZone, domain)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range found {
		for _, value := range values {
			insert(t, n.stale, lateZone, fmt.Sprintf("%s. 5 IN TXT %q", name, value))
		}
	}
}

// writes are the lines of a BIND's log about changes of TXT records below a domain. Each names the key that signed
// it, and ends with what was added or deleted.
func writes(t *testing.T, b *testbed.BIND, domain string) []string {
	t.Helper()
	log, err := os.ReadFile(b.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(log), "\n"), func(line string) bool {
		return !strings.Contains(line, "updating zone") || !strings.Contains(line, domain+"' TXT") && !strings.Contains(line, domain+" TXT")
	})
}

// noWrites checks that a BIND was not asked to change a TXT record below a domain.
func noWrites(t *testing.T, b *testbed.BIND, domain string) {
	t.Helper()
	if lines := writes(t, b, domain); len(lines) > 0 {
		t.Errorf("somebody wrote:\n%s", strings.Join(lines, "\n"))
	}
}
