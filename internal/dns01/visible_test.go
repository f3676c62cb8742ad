package dns01_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
)

const (
	proofName = "_acme-challenge.www.example.com"
	ours      = "oursoursoursoursoursoursoursoursoursoursour"
)

// network is name servers by address, "192.0.2.1"; an address that is not there
// refuses connections. Everything else is the resolver.
type network map[string]*dns01test.Server

func (n network) resolver(t *testing.T, resolver *dns01test.Server) *dns01.Resolver {
	t.Helper()
	nobody := closedPort(t)
	return &dns01.Resolver{Nameservers: []string{resolver.Addr}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		switch s := n[host]; {
		case s != nil:
			address = s.Addr
		case address != resolver.Addr:
			address = nobody
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
}

// holding is a server of example.com with these values as the proof.
func holding(t *testing.T, values ...string) *dns01test.Server {
	t.Helper()
	s := dns01test.Serve(t, nil, "example.com")
	for _, v := range values {
		s.Set(t, fmt.Sprintf("%s. 60 IN TXT %q", proofName, v))
	}
	return s
}

func TestVisibleAtEveryNameServer(t *testing.T) {
	t.Parallel()
	with, without, other := holding(t, ours), holding(t), holding(t, "one", "two", "three", "four")
	both, lame := holding(t, "another", ours), dns01test.Serve(t, nil, "example.org")
	// What the resolver tells: ns2 has two addresses, one of them of IPv6.
	const ns1, ns2, ns2v6 = "192.0.2.53", "192.0.2.2", "2001:db8::2"
	parents := holding(t)
	parents.Set(t, "example.com. 60 IN NS NS2.example.com.", "ns2.example.com. 60 IN A "+ns2, "ns2.example.com. 60 IN AAAA "+ns2v6)
	for _, test := range []struct {
		reason  string
		servers network
		visible bool
		report  string
	}{
		{"all have it", network{ns1: with, ns2: both, ns2v6: with}, true, "seen at every server"},
		{"one does not know the name", network{ns1: with, ns2: without, ns2v6: with}, false, "not seen at 1 of 3 servers: ns2.example.com (192.0.2.2): no such name (NXDOMAIN)"},
		{
			"one has others",
			network{ns1: other, ns2: with, ns2v6: with},
			false,
			`ns1.example.com (192.0.2.53): other values: "one", "two", "three", and 1 more`,
		},
		{"one is not responsible", network{ns1: with, ns2: with, ns2v6: lame}, false, "ns2.example.com ([2001:db8::2]): REFUSED"},
		{"one address is out of reach", network{ns1: with, ns2: with}, true, "seen at every server"},
		{"one address is out of reach, the other does not have it", network{ns1: with, ns2: without}, false, "refused"},
		{"one server is out of reach", network{ns2: with, ns2v6: with}, false, "not seen at 1 of 3 servers: ns1.example.com (192.0.2.53): "},
		{"all are out of reach", network{}, false, "not seen at 3 of 3 servers"},
	} {
		report, err := test.servers.resolver(t, parents).Visible(t.Context(), dns01.Authoritative, proofName, ours)
		if err != nil {
			t.Errorf("%s: %v", test.reason, err)
			continue
		}
		if report.Visible() != test.visible || report.Zone != "example.com" || len(report.Answers) != 3 || !strings.Contains(report.String(), test.report) {
			t.Errorf("%s: %v, zone %q, %s", test.reason, report.Visible(), report.Zone, report)
		}
	}
}

func TestVisibleInAZoneThatIsAmiss(t *testing.T) {
	t.Parallel()
	zone := func(ns ...string) *dns01test.Server {
		s := dns01test.Serve(t, nil)
		s.Add("example.com")
		s.Set(t, "example.com. 60 IN SOA a. b. 1 2 3 4 5")
		s.Set(t, ns...)
		return s
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("example.com. 60 IN NS ns%d.example.com.", i)
	}
	for _, test := range []struct {
		reason string
		server *dns01test.Server
		want   string
	}{
		{"no name server", zone(), "finding the name servers of _acme-challenge.www.example.com: zone example.com has no name servers (NS records)"},
		{"too many", zone(many...), "zone example.com has 65 name servers; at most 64 are asked"},
		{"no zone", dns01test.Serve(t, nil, "example.org"), "finding the zone of _acme-challenge.www.example.com: asking for the SOA records"},
	} {
		report, err := resolver(test.server).Visible(t.Context(), dns01.Authoritative, proofName, ours)
		if err == nil || report.Visible() || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %s, %v", test.reason, report, err)
		}
	}
	nowhere := zone("example.com. 60 IN NS ns.example.com.")
	report, err := resolver(nowhere).Visible(t.Context(), dns01.Authoritative, proofName, ours)
	if want := "ns.example.com: no address of it can be found"; err != nil || report.Visible() || !strings.Contains(report.String(), want) {
		t.Errorf("a name server without an address: %s, %v", report, err)
	}
}

func TestVisibleToResolvers(t *testing.T) {
	t.Parallel()
	with, without := holding(t, ours), holding(t)
	dead := closedPort(t)
	for _, test := range []struct {
		servers []string
		visible bool
		reason  string
	}{
		{[]string{with.Addr}, true, "the only one has it"},
		{[]string{with.Addr, without.Addr}, false, "one remembers that there was nothing"},
		{[]string{dead, with.Addr}, true, "they stand in for each other"},
		{[]string{dead}, false, "nobody answered"},
	} {
		report, err := (&dns01.Resolver{Nameservers: test.servers}).Visible(t.Context(), dns01.Recursive, proofName, ours)
		if err != nil || report.Visible() != test.visible || len(report.Answers) != len(test.servers) {
			t.Errorf("%s: %s, %v", test.reason, report, err)
		}
	}
	for _, q := range with.Asked() {
		if !q.Recursive || q.Type != "TXT" {
			t.Errorf("a resolver was asked %+v", q)
		}
	}
}

func TestVisibleReadsRecords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		reason  string
		answer  []dns.RR
		visible bool
		report  string
	}{
		{"in several strings", records(t, proofName+`. 60 IN TXT "`+ours[:20]+`" "`+ours[20:]+`"`), true, ""},
		{"name in other letters", records(t, `_ACME-challenge.WWW.example.com. 60 IN TXT "`+ours+`"`), true, ""},
		{"behind an alias", records(t, proofName+". 60 IN CNAME x.example.com.", `x.example.com. 60 IN TXT "`+ours+`"`), true, ""},
		{"of another name", records(t, `x.example.com. 60 IN TXT "`+ours+`"`), false, "no TXT record"},
		{"of another type", records(t, proofName+". 60 IN A 192.0.2.1"), false, "no TXT record"},
		{"a part of it", records(t, proofName+`. 60 IN TXT "`+ours[:42]+`"`), false, "other values"},
		{"more than it", records(t, proofName+`. 60 IN TXT "`+ours+`x"`), false, "other values"},
		{"a circle of aliases", records(t, proofName+". 60 IN CNAME "+proofName+"."), false, "no TXT record"},
		{"what a terminal would obey", records(t, proofName+`. 60 IN TXT "\027[31m"`), false, `other values: "\\027[31m"`},
		{"a long text", records(t, proofName+`. 60 IN TXT "`+strings.Repeat("x", 200)+`"`), false, `"` + strings.Repeat("x", 64) + `…"`},
	} {
		report, err := scripted(t, reply(dns.Msg{Answer: test.answer})).Visible(t.Context(), dns01.Recursive, proofName, ours)
		if err != nil || report.Visible() != test.visible || !strings.Contains(report.String(), test.report) {
			t.Errorf("%s: %v, %s, %v", test.reason, report.Visible(), report, err)
		}
	}
}

func TestVisibleReadsLongAnswersOverTCP(t *testing.T) {
	t.Parallel()
	var values []string
	for i := range 500 {
		values = append(values, fmt.Sprintf("%s. 60 IN TXT value-%d-of-many-that-do-not-fit-into-a-datagram", proofName, i))
	}
	whole := records(t, append(values, proofName+". 60 IN TXT "+ours)...)
	r := scripted(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if _, overTCP := w.RemoteAddr().(*net.TCPAddr); overTCP {
			m.Answer = whole
		} else {
			m.Truncated, m.Answer = true, whole[:3]
		}
		_ = w.WriteMsg(m)
	})
	r.Timeout = 10 * time.Second
	report, err := r.Visible(t.Context(), dns01.Recursive, proofName, ours)
	if err != nil || !report.Visible() {
		t.Errorf("%s, %v", report, err)
	}
}

func TestVisibleOtherChecks(t *testing.T) {
	t.Parallel()
	r := &dns01.Resolver{Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("somebody was asked")
		return nil, errors.New("nobody there")
	}}
	if report, err := r.Visible(t.Context(), dns01.None, proofName, ours); err != nil || !report.Visible() || report.String() != "nobody was asked" {
		t.Errorf("none: %s, %v", report, err)
	}
	if report, err := r.Visible(t.Context(), "all", proofName, ours); err == nil || report.Visible() {
		t.Errorf("a check that there is not: %s, %v", report, err)
	}
	if (dns01.Report{}).Visible() {
		t.Error("a report that nobody made says that the record is visible")
	}
}

func TestVisibleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, check := range []dns01.Check{dns01.Authoritative, dns01.Recursive} {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the mount was disabled")
		r := scripted(t, func(dns.ResponseWriter, *dns.Msg) { cancel(why) })
		r.Timeout = time.Hour
		if report, err := r.Visible(ctx, check, proofName, ours); !errors.Is(err, why) || report.Visible() {
			t.Errorf("%s: %s, %v", check, report, err)
		}
	}
}

// A look asks every server once: it neither waits nor tries again.
func TestVisibleAsksOnce(t *testing.T) {
	t.Parallel()
	server := holding(t)
	if _, err := resolver(server).Visible(t.Context(), dns01.Authoritative, proofName, ours); err != nil {
		t.Fatal(err)
	}
	asked := slices.DeleteFunc(server.Asked(), func(q dns01test.Query) bool { return q.Type != "TXT" })
	if len(asked) != 1 || asked[0].Recursive {
		t.Errorf("asked for TXT records: %+v", asked)
	}
}
