package dns01test

import (
	"errors"
	"slices"

	"github.com/miekg/dns"
)

// update does what RFC 2136 §3 says, as far as single records go.
func (s *Server) update(m *dns.Msg, signed bool) (rcode int) {
	zone := dns.CanonicalName(m.Question[0].Name)
	switch {
	case len(s.keys) > 0 && !signed:
		return dns.RcodeRefused
	case !slices.Contains(s.zones, zone):
		return dns.RcodeNotAuth
	}
	for _, rr := range m.Answer { // §3.2, prerequisites
		h := rr.Header()
		if h.Class == dns.ClassNONE && len(s.at(dns.CanonicalName(h.Name), h.Rrtype)) > 0 {
			return dns.RcodeYXRrset
		}
	}
	for _, rr := range m.Ns { // §3.4.1, before anything is changed
		if !dns.IsSubDomain(zone, rr.Header().Name) {
			return dns.RcodeNotZone
		}
	}
	for _, rr := range m.Ns {
		s.change(rr)
	}
	s.updates++
	return dns.RcodeSuccess
}

func (s *Server) change(rr dns.RR) {
	h := rr.Header()
	name := dns.CanonicalName(h.Name)
	switch h.Class {
	case dns.ClassANY: // §2.5.2, an RRset
		s.drop(func(old dns.RR) bool {
			return dns.CanonicalName(old.Header().Name) == name && old.Header().Rrtype == h.Rrtype
		})
	case dns.ClassNONE: // §2.5.4, a record
		h.Class = dns.ClassINET
		s.drop(func(old dns.RR) bool { return dns.IsDuplicate(old, rr) })
	default: // §3.4.2.2
		if len(s.at(name, dns.TypeCNAME)) == 0 {
			s.drop(func(old dns.RR) bool { return dns.IsDuplicate(old, rr) })
			s.records = append(s.records, rr)
		}
	}
}

func (s *Server) drop(which func(dns.RR) bool) { s.records = slices.DeleteFunc(s.records, which) }

// sign answers a signed message with a signed one; the library computes the
// signature when it is sent.
func sign(m *dns.Msg, asked *dns.TSIG) {
	if asked != nil {
		m.SetTsig(asked.Hdr.Name, asked.Algorithm, asked.Fudge, int64(asked.TimeSigned))
	}
}

// reject says why a signature is not accepted (RFC 8945 §5.2).
func reject(m *dns.Msg, asked *dns.TSIG, why error) {
	m.Rcode = dns.RcodeNotAuth
	sign(m, asked)
	tsig := m.IsTsig()
	switch {
	case errors.Is(why, dns.ErrSecret), errors.Is(why, dns.ErrKeyAlg):
		tsig.Error = dns.RcodeBadKey
	case errors.Is(why, dns.ErrTime):
		tsig.Error = dns.RcodeBadTime
	default:
		tsig.Error = dns.RcodeBadSig
	}
}
