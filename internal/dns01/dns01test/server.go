package dns01test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a name server on 127.0.0.1 that has whole zones in memory. It takes
// dynamic updates, and answers recursive questions from its own zones as a
// resolver would.
type Server struct {
	// Addr is host:port, for both UDP and TCP.
	Addr string

	mu      sync.Mutex
	zones   []string
	records []dns.RR
	keys    map[string]string // secrets by absolute name
	updates int
	asked   []Query
}

// Query is a question that was asked.
type Query struct {
	// Name is absolute, in lower case. Type is that of the records: "TXT".
	Name, Type string
	// Recursive questions are those to resolvers.
	Recursive bool
}

// Serve starts a name server with empty zones: each has an SOA record and one
// name server, ns1.<zone> at 192.0.2.53, which only [Server.Dial] leads to.
// With keys, the TSIG secrets in base64 by name, updates have to be signed.
func Serve(t testing.TB, keys map[string]string, zones ...string) *Server {
	t.Helper()
	s := &Server{keys: map[string]string{}}
	for name, secret := range keys {
		s.keys[dns.CanonicalName(name)] = secret
	}
	for _, zone := range zones {
		s.Add(zone)
		zone = dns.Fqdn(zone)
		s.Set(t,
			zone+" 300 IN SOA ns1."+zone+" hostmaster."+zone+" 1 3600 600 86400 300",
			zone+" 300 IN NS ns1."+zone,
			"ns1."+zone+" 300 IN A 192.0.2.53")
	}
	s.Addr = Listen(t, s.serve, s.keys)
	return s
}

// Dial is that of [Public] for this server.
func (s *Server) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return Public(s.Addr)(ctx, network, address)
}

// Add makes the server speak for a zone, without a record in it.
func (s *Server) Add(zone string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones = append(s.zones, dns.CanonicalName(zone))
}

// Set adds records, each as a line of a zone file.
func (s *Server) Set(t testing.TB, lines ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("the record %q: %v", line, err)
		}
		s.records = append(s.records, rr)
	}
}

// TXT gives the values at a name.
func (s *Server) TXT(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for _, rr := range s.at(dns.CanonicalName(name), dns.TypeTXT) {
		values = append(values, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	return values
}

// Updates counts the updates that were accepted.
func (s *Server) Updates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updates
}

// Asked gives the questions so far.
func (s *Server) Asked() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *Server) serve(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	switch tsig := q.IsTsig(); {
	case tsig != nil && w.TsigStatus() != nil:
		reject(m, tsig, w.TsigStatus())
	case q.Opcode == dns.OpcodeUpdate:
		m.Rcode = s.update(q, tsig != nil)
		sign(m, tsig)
	default:
		s.answer(m, q)
		sign(m, tsig)
	}
	_ = w.WriteMsg(m) // who asked may be gone
}

func (s *Server) answer(m, q *dns.Msg) {
	question := q.Question[0]
	name := dns.CanonicalName(question.Name)
	s.asked = append(s.asked, Query{name, dns.TypeToString[question.Qtype], q.RecursionDesired})
	if s.zoneOf(name) == "" {
		m.Rcode = dns.RcodeRefused
		return
	}
	m.Authoritative = true
	for range 20 { // a circle of aliases ends here
		m.Answer = append(m.Answer, s.at(name, question.Qtype)...)
		aliases := s.at(name, dns.TypeCNAME)
		if len(aliases) == 0 || question.Qtype == dns.TypeCNAME {
			break
		}
		m.Answer = append(m.Answer, aliases...)
		name = dns.CanonicalName(aliases[0].(*dns.CNAME).Target)
	}
	if len(s.at(name, question.Qtype)) > 0 {
		return
	}
	if !slices.ContainsFunc(s.records, func(rr dns.RR) bool { return dns.IsSubDomain(name, rr.Header().Name) }) {
		m.Rcode = dns.RcodeNameError
	}
	m.Ns = s.at(s.zoneOf(name), dns.TypeSOA)
}

func (s *Server) zoneOf(name string) string {
	zone := ""
	for _, z := range s.zones {
		if dns.IsSubDomain(z, name) && len(z) > len(zone) {
			zone = z
		}
	}
	return zone
}

func (s *Server) at(name string, rrtype uint16) []dns.RR {
	var found []dns.RR
	for _, rr := range s.records {
		if h := rr.Header(); h.Rrtype == rrtype && dns.CanonicalName(h.Name) == name {
			found = append(found, dns.Copy(rr))
		}
	}
	return found
}
