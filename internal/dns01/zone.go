package dns01

import (
	"strings"

	"github.com/miekg/dns"
)

// findZone walks from a name upwards until soa, which asks for the SOA record
// of a name, tells the zone. Usually the first answer does, because a negative
// one carries the zone's SOA record, too (RFC 2308 §3). The zone is absolute;
// "" when there is none below the root.
func findZone(name string, soa func(name string) (zone string, err error)) (string, error) {
	for name = dns.Fqdn(name); name != "."; name = parent(name) {
		if zone, err := soa(name); zone != "" || err != nil {
			return zone, err
		}
	}
	return "", nil
}

// zoneIn gives the zone of a name by the SOA record in an answer. Of a name
// that is an alias, the record may be that of the target's zone, which says
// nothing about the name.
func zoneIn(m *dns.Msg, name string) string {
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			soa, ok := rr.(*dns.SOA)
			if ok && soa.Hdr.Name != "." && dns.IsSubDomain(soa.Hdr.Name, name) {
				return dns.CanonicalName(soa.Hdr.Name)
			}
		}
	}
	return ""
}

// delegation gives the zone that a referral leads to, "" if the answer is none
// (RFC 2308 §2.1.1). One to the root means that the server knows nothing.
func delegation(m *dns.Msg, name string) string {
	if m.Authoritative || m.Rcode != dns.RcodeSuccess || len(m.Answer) > 0 || zoneIn(m, name) != "" {
		return ""
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeNS && rr.Header().Name != "." && dns.IsSubDomain(rr.Header().Name, name) {
			return dns.CanonicalName(rr.Header().Name)
		}
	}
	return ""
}

// parent takes the first label off an absolute name.
func parent(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// relative is a name as we write it: lower-case, without the dot at its end.
func relative(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }
