package dns01_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
)

// resolver asks a server both as resolver and as every zone's name server.
func resolver(s *dns01test.Server) *dns01.Resolver {
	return &dns01.Resolver{Nameservers: []string{s.Addr}, Dial: s.Dial}
}

// scripted asks a server that is none: it gives the answers it is told.
func scripted(t *testing.T, answer func(dns.ResponseWriter, *dns.Msg)) *dns01.Resolver {
	t.Helper()
	return &dns01.Resolver{
		Nameservers: []string{dns01test.Listen(t, answer, map[string]string{})},
		Timeout:     300 * time.Millisecond, // for those that never answer
	}
}

func TestRecordName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"www.example.com":   "_acme-challenge.www.example.com",
		"*.example.com":     "_acme-challenge.example.com",
		"*.sub.example.com": "_acme-challenge.sub.example.com",
	} {
		if got := dns01.RecordName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, nil, "example.com", "acme.example.net")
	server.Set(t,
		"_acme-challenge.one.example.com 60 IN CNAME one.acme.example.net",
		"_acme-challenge.three.example.com 60 IN CNAME a.example.com",
		"a.example.com 60 IN CNAME b.example.com",
		"b.example.com 60 IN CNAME three.acme.example.net",
		"_acme-challenge.loud.example.com 60 IN CNAME LOUD.Acme.Example.NET",
		"_acme-challenge.text.example.com 60 IN TXT here",
		"_acme-challenge.self.example.com 60 IN CNAME _acme-challenge.self.example.com",
		"_acme-challenge.circle.example.com 60 IN CNAME c.example.com",
		"c.example.com 60 IN CNAME d.example.com",
		"d.example.com 60 IN CNAME c.example.com",
		"_acme-challenge.space.example.com 60 IN CNAME a\\032b.example.com",
		"_acme-challenge.root.example.com 60 IN CNAME .",
		"_acme-challenge.two.example.com 60 IN CNAME x.example.com",
		"_acme-challenge.two.example.com 60 IN CNAME y.example.com",
		"_acme-challenge.out.example.com 60 IN CNAME x.unknown.example.org",
		"_acme-challenge.ten.example.com 60 IN CNAME h1.example.com",
	)
	for i := 1; i < 10; i++ {
		server.Set(t, fmt.Sprintf("h%d.example.com 60 IN CNAME h%d.example.com", i, i+1))
	}
	server.Set(t, "_acme-challenge.eleven.example.com 60 IN CNAME _acme-challenge.ten.example.com")
	for _, test := range []struct{ name, want, refusal, reason string }{
		{"none.example.com", "_acme-challenge.none.example.com", "", "what does not exist yet is no alias"},
		{"text.example.com", "_acme-challenge.text.example.com", "", "what has other records is none either"},
		{"one.example.com", "one.acme.example.net", "", "into another zone"},
		{"three.example.com", "three.acme.example.net", "", "over several names"},
		{"loud.example.com", "loud.acme.example.net", "", "in whatever letters"},
		{"ten.example.com", "h10.example.com", "", "ten steps are allowed"},
		{"eleven.example.com", "", "are more than 10", "eleven are not"},
		{"self.example.com", "", "_acme-challenge.self.example.com → _acme-challenge.self.example.com is a circle", "an alias of itself"},
		{"circle.example.com", "", "circle.example.com → c.example.com → d.example.com → c.example.com is a circle", "a circle that does not hold the name"},
		{"space.example.com", "", "not a name that records can be written at", "a name that services would not take"},
		{"root.example.com", "", "not a name that records can be written at", "the root"},
		{"two.example.com", "", "points to both x.example.com and y.example.com", "RFC 2181 §10.1 allows one"},
	} {
		got, err := resolver(server).Follow(t.Context(), dns01.RecordName(test.name))
		switch {
		case got != test.want, (err == nil) != (test.refusal == ""):
			t.Errorf("%s: got %q, %v: %s", test.name, got, err, test.reason)
		case err != nil && (!errors.Is(err, dns01.ErrAlias) || !strings.Contains(err.Error(), test.refusal)):
			t.Errorf("%s: got %v: %s", test.name, err, test.reason)
		}
	}
	_, err := resolver(server).Follow(t.Context(), "_acme-challenge.out.example.com")
	if err == nil || errors.Is(err, dns01.ErrAlias) || !strings.Contains(err.Error(), "looking whether x.unknown.example.org is an alias") {
		t.Errorf("into a zone that nobody answers for: %v", err)
	}
}

func TestFollowTellsResolversNothing(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, nil, "example.com")
	if _, err := resolver(server).Follow(t.Context(), "_acme-challenge.www.example.com"); err != nil {
		t.Fatal(err)
	}
	for _, q := range server.Asked() {
		if q.Recursive && strings.HasPrefix(q.Name, dns01.Label) {
			t.Errorf("a resolver was asked for %s %s, and will remember that there was nothing", q.Name, q.Type)
		}
	}
}

func TestFollowAsksResolversWhereNameServersAreOutOfReach(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, nil, "example.com")
	server.Set(t, "_acme-challenge.www.example.com 60 IN CNAME proof.example.com")
	r := resolver(server)
	r.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != server.Addr {
			return nil, errors.New("the firewall")
		}
		return server.Dial(ctx, network, address)
	}
	got, err := r.Follow(t.Context(), "_acme-challenge.www.example.com")
	if err != nil || got != "proof.example.com" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A name that was delegated is no alias, whatever is in its zone, which the
// servers of the zone above do not know.
func TestFollowEndsAtAZoneOfItsOwn(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, nil, "example.com")
	above := dns01test.Listen(t, reply(dns.Msg{Ns: records(t, "_acme-challenge.www.example.com. 60 IN NS ns.example.net.")}), map[string]string{})
	r := resolver(server)
	r.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != server.Addr {
			address = above
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	got, err := r.Follow(t.Context(), "_acme-challenge.www.example.com")
	if err != nil || got != "_acme-challenge.www.example.com" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, q := range server.Asked() {
		if q.Type == "CNAME" {
			t.Errorf("%+v was asked although the zone above had answered", q)
		}
	}
}

// A resolver may send a whole chain, or records that nobody asked for. Only the
// record of the name itself counts; every step is a question of its own.
func TestFollowBelievesOneStepAtATime(t *testing.T) {
	t.Parallel()
	aliases := records(t,
		"_acme-challenge.www.example.com. 60 IN CNAME proof.example.com.",
		"proof.example.com. 60 IN CNAME victim.example.org.",
		"victim.example.org. 60 IN TXT v")
	r := scripted(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		switch q.Question[0].Name {
		case "_acme-challenge.www.example.com.":
			m.Answer, m.Rcode = aliases, dns.RcodeNameError
		case "proof.example.com.":
			m.Answer = aliases[2:]
		}
		_ = w.WriteMsg(m)
	})
	got, err := r.Follow(t.Context(), "_acme-challenge.www.example.com")
	if err != nil || got != "proof.example.com" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFollowGoesOnToTheNextResolver(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, nil, "example.com")
	failing := dns01test.Listen(t, reply(dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}), map[string]string{})
	r := &dns01.Resolver{Nameservers: []string{closedPort(t), failing, server.Addr}, Dial: server.Dial}
	if _, err := r.Follow(t.Context(), "_acme-challenge.www.example.com"); err != nil {
		t.Error(err)
	}
	r.Nameservers = r.Nameservers[:2]
	_, err := r.Follow(t.Context(), "_acme-challenge.www.example.com")
	for _, want := range []string{r.Nameservers[0] + ": ", "refused; resolver " + failing + ": SERVFAIL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}

func TestFollowSurvivesHostileAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(dns.ResponseWriter, *dns.Msg){
		"nothing":  func(dns.ResponseWriter, *dns.Msg) {},
		"garbage":  func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte(strings.Repeat("garbage ", 20))) },
		"one byte": func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte{0}) },
		"another id": func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Id++
			_ = w.WriteMsg(m)
		},
		"no question": func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Question = nil
			_ = w.WriteMsg(m)
		},
		"always cut off": func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			if _, ok := w.RemoteAddr().(*net.TCPAddr); !ok {
				_ = w.WriteMsg(m)
			}
		},
		"half a record": func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{"text"}}}
			if wire, err := m.Pack(); err == nil {
				_, _ = w.Write(wire[:len(wire)-3])
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := scripted(t, answer).Follow(t.Context(), "_acme-challenge.www.example.com")
			if err == nil || errors.Is(err, dns01.ErrAlias) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// Whoever guesses the port must not be able to end the conversation.
func TestAnswersOfOthersAreIgnored(t *testing.T) {
	t.Parallel()
	r := scripted(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		_, _ = w.Write([]byte("garbage"))
		m.Id++
		_ = w.WriteMsg(m)
		m.Id--
		_ = w.WriteMsg(m)
	})
	r.Timeout = 10 * time.Second
	if _, err := r.Follow(t.Context(), "_acme-challenge.www.example.com"); err != nil {
		t.Error(err)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the mount was disabled")
	r := scripted(t, func(dns.ResponseWriter, *dns.Msg) { cancel(why) })
	r.Timeout = time.Hour
	if _, err := r.Follow(ctx, "_acme-challenge.www.example.com"); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
