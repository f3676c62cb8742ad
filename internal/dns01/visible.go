package dns01

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// Check is whom to ask whether a record is visible.
type Check string

// The ways to look.
const (
	// Authoritative asks every name server of the zone, at every address.
	Authoritative Check = "authoritative"
	// Recursive asks every configured resolver.
	Recursive Check = "recursive"
	// None asks nobody and takes every record for visible.
	None Check = "none"
)

// Answer is what one server said about a record.
type Answer struct {
	// Server names it: "ns1.example.com (192.0.2.1)", or its address.
	Server string
	// Seen tells that the value was there.
	Seen bool
	// Found says what was there instead: "no such name (NXDOMAIN)".
	Found string

	name        string // of the name server, "" for resolvers
	unreachable bool
}

// Report is one look at a record.
type Report struct {
	// Zone is the zone of the record; "" unless its name servers were asked.
	Zone    string
	Answers []Answer

	unchecked bool
}

// Visible tells whether a CA will see the record: every server has it. A name
// server with several addresses has it when every address that answers does,
// because a machine with an IPv4 address only cannot reach all of them. Of
// resolvers, likewise, only those that answer count.
func (r Report) Visible() bool { return r.unchecked || len(r.Answers) > 0 && len(r.missing()) == 0 }

// missing is the answers that keep a record from being visible.
func (r Report) missing() []Answer {
	var missing []Answer
	for _, a := range r.Answers {
		elsewhere := a.unreachable && slices.ContainsFunc(r.Answers, func(b Answer) bool { return b.Seen && b.name == a.name })
		if !a.Seen && !elsewhere {
			missing = append(missing, a)
		}
	}
	return missing
}

// String says in a sentence which servers do not have the record, and what they
// answered instead.
func (r Report) String() string {
	missing := r.missing()
	switch {
	case r.unchecked:
		return "nobody was asked"
	case len(r.Answers) == 0:
		return "there was nobody to ask"
	case len(missing) == 0:
		return "seen at every server"
	}
	clauses := make([]string, len(missing))
	for i, a := range missing {
		clauses[i] = a.Server + ": " + a.Found
	}
	return fmt.Sprintf("not seen at %d of %d servers: %s", len(missing), len(r.Answers), strings.Join(clauses, "; "))
}

// Visible looks once whether a TXT record can be seen. The name is where the
// record was written, after aliases. The error is why nobody could be asked:
// the zone or its name servers are unknown.
//
// Resolvers remember a negative answer, so this must not be called before the
// record was written.
func (r *Resolver) Visible(ctx context.Context, check Check, name, value string) (Report, error) {
	switch check {
	case None:
		return Report{unchecked: true}, nil
	case Recursive:
		return r.visibleToResolvers(ctx, name, value)
	case Authoritative:
		return r.visibleAtAuthorities(ctx, name, value)
	}
	return Report{}, fmt.Errorf("there is no way to check that is called %q", check)
}

func (r *Resolver) visibleToResolvers(ctx context.Context, name, value string) (Report, error) {
	addresses, err := r.nameservers()
	if err != nil {
		return Report{}, err
	}
	servers := make([]server, len(addresses))
	for i, a := range addresses {
		servers[i].address = a
	}
	return r.look(ctx, servers, name, value, true)
}

func (r *Resolver) visibleAtAuthorities(ctx context.Context, name, value string) (Report, error) {
	zone, err := r.zone(ctx, name)
	if err != nil {
		return Report{}, fmt.Errorf("finding the zone of %s: %w", relative(name), err)
	}
	servers, err := r.authorities(ctx, zone)
	if err != nil {
		return Report{}, fmt.Errorf("finding the name servers of %s: %w", relative(name), err)
	}
	report, err := r.look(ctx, servers, name, value, false)
	report.Zone = relative(zone)
	return report, err
}

func (r *Resolver) look(ctx context.Context, servers []server, name, value string, recursive bool) (Report, error) {
	replies := r.askEach(ctx, servers, name, dns.TypeTXT, recursive)
	if ctx.Err() != nil {
		return Report{}, context.Cause(ctx)
	}
	report := Report{Answers: make([]Answer, len(replies))}
	for i, reply := range replies {
		a := Answer{Server: reply.String(), name: reply.name}
		if reply.err != nil {
			a.Found = reply.err.Error()
			a.unreachable = !errors.Is(reply.err, errNoAddress)
		} else {
			a.Seen, a.Found = readTXT(reply.message, name, value)
		}
		report.Answers[i] = a
	}
	return report, nil
}

// readTXT looks for a value among the TXT records of a name, and says what is
// there if the value is not.
func readTXT(m *dns.Msg, name, value string) (seen bool, found string) {
	values := texts(m, name)
	switch {
	case slices.Contains(values, value):
		return true, ""
	case len(values) > 0:
		return false, "other values: " + excerpt(values)
	case m.Rcode == dns.RcodeNameError:
		return false, "no such name (NXDOMAIN)"
	case m.Rcode == dns.RcodeSuccess:
		return false, "no TXT record"
	}
	return false, rcode(m)
}

// texts gives the values of the TXT records of a name in an answer, each with
// its strings joined (RFC 8555 §8.4 digests are short, but not everybody's are).
// Aliases are followed as far as the answer itself does.
func texts(m *dns.Msg, name string) []string {
	at := relative(name)
	for range maxAliases {
		target, err := aliasIn(m, at)
		if err != nil || target == "" {
			break
		}
		at = target
	}
	var values []string
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok && relative(txt.Hdr.Name) == at {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values
}

// excerpt shows some of the values, which anybody may have written.
func excerpt(values []string) string {
	const shown, length = 3, 64
	quoted := make([]string, 0, shown+1)
	for i, v := range values {
		if i == shown {
			quoted = append(quoted, fmt.Sprintf("and %d more", len(values)-shown))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", upstream.Clean(v, length)))
	}
	return strings.Join(quoted, ", ")
}
