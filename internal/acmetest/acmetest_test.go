package acmetest

import (
	"os"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

func lookup(t testing.TB, r *ResponderServer, network, name string, kind uint16) *dns.Msg {
	t.Helper()
	client := &dns.Client{Net: network}
	m, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), r.Resolver)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func values(m *dns.Msg) (all []string) {
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			all = append(all, rr.A.String())
		case *dns.TXT:
			all = append(all, rr.Txt...)
		case *dns.CNAME:
			all = append(all, rr.Target)
		}
	}
	return all
}

func TestDNS(t *testing.T) {
	t.Parallel()
	r, other := Responder(t), Responder(t)
	r.AddTXT("_acme-challenge.example.com", "one")
	r.AddTXT("_acme-challenge.example.com", "two")
	r.SetCNAME("alias.example.com", "_acme-challenge.example.com")
	r.FailDNS("broken.example.com")
	for _, network := range []string{"udp", "tcp"} {
		for _, test := range []struct {
			name string
			kind uint16
			want []string
		}{
			{"anything.example.com", dns.TypeA, []string{"127.0.0.1"}},
			{"anything.example.com", dns.TypeAAAA, nil},
			{"anything.example.com", dns.TypeTXT, nil},
			{"_ACME-challenge.Example.com", dns.TypeTXT, []string{"one", "two"}},
			{"alias.example.com", dns.TypeTXT, []string{"_acme-challenge.example.com.", "one", "two"}},
		} {
			if got := values(lookup(t, r, network, test.name, test.kind)); !slices.Equal(got, test.want) {
				t.Errorf("%s %s: got %q, want %q", network, test.name, got, test.want)
			}
		}
		if m := lookup(t, r, network, "broken.example.com", dns.TypeTXT); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: answered %s", network, dns.RcodeToString[m.Rcode])
		}
	}
	if got := values(lookup(t, other, "udp", "_acme-challenge.example.com", dns.TypeTXT)); got != nil {
		t.Errorf("another responder knows %q", got)
	}
	r.ClearTXT("_acme-challenge.example.com")
	if got := r.TXT("_acme-challenge.example.com"); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

// Pebble's settings are environment variables, which must not outlive its start.
func TestEnvironmentIsPutBack(t *testing.T) {
	before := os.Environ()
	Pebble(t, RejectNonces(50), AlwaysValid(), ReuseAuthorizations(100))
	if after := os.Environ(); !slices.Equal(slices.Sorted(slices.Values(before)), slices.Sorted(slices.Values(after))) {
		t.Errorf("there were %d variables before and there are %d after, or one has changed", len(before), len(after))
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][2]string{
		"/directory":           {"directory", ""},
		"/order/3":             {"order", "3"},
		"/order/3/finalize":    {"finalize", "3"},
		"/challenge/7/http-01": {"challenge", "7"},
		"/":                    {"", ""},
	} {
		if resource, id := locate(path); string(resource) != want[0] || id != want[1] {
			t.Errorf("%s: %s %s", path, resource, id)
		}
	}
}
