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

// maxAliases is how many CNAME records may lead from a name to its records.
// Resolvers give up at eight to sixteen.
const maxAliases = 10

// ErrAlias is the reason of [Resolver.Follow] when aliases lead nowhere.
// Somebody has to change the DNS before another try makes sense.
var ErrAlias = errors.New("the aliases (CNAME) lead nowhere")

// Follow gives the name under which a name's records are, lower-case and
// without a trailing dot: the name itself, or where its aliases lead. Names
// that do not exist yet are where a chain ends, as it is before the first
// record is written.
//
// Each step asks the name servers of the zone, and resolvers only if none of
// these can be reached, because a resolver remembers for a while that there is
// nothing at a name: when the record has been written, it would not see it.
func (r *Resolver) Follow(ctx context.Context, name string) (string, error) {
	chain := []string{relative(name)}
	for {
		at := chain[len(chain)-1]
		target, err := r.alias(ctx, at)
		if err != nil {
			return "", fmt.Errorf("looking whether %s is an alias: %w", at, err)
		}
		if target == "" {
			return at, nil
		}
		again := slices.Contains(chain, target)
		chain = append(chain, target)
		switch {
		case again:
			return "", fmt.Errorf("%w: %s is a circle", ErrAlias, strings.Join(chain, " → "))
		case len(chain) > maxAliases+1:
			return "", fmt.Errorf("%w: %s are more than %d", ErrAlias, strings.Join(chain, " → "), maxAliases)
		}
	}
}

// alias gives the target of the CNAME record at exactly this name, "" when
// there is none.
func (r *Resolver) alias(ctx context.Context, name string) (string, error) {
	answer := r.askAuthorities(ctx, name, dns.TypeCNAME)
	if answer == nil {
		var err error
		if answer, err = r.resolve(ctx, name, dns.TypeCNAME); err != nil {
			return "", err
		}
	}
	return aliasIn(answer, name)
}

// askAuthorities asks the name servers of the zone above a name, without a
// resolver hearing of the name; nil when none of them speaks for it. Where the
// name is a zone of its own the answer is a referral to that.
func (r *Resolver) askAuthorities(ctx context.Context, name string, qtype uint16) *dns.Msg {
	_, above, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	zone, err := r.zone(ctx, above)
	if err != nil {
		return nil
	}
	servers, err := r.authorities(ctx, zone)
	if err != nil {
		return nil
	}
	for _, reply := range r.askEach(ctx, servers, name, qtype, false) {
		if m := reply.message; reply.err == nil && (m.Authoritative && knows(m) || delegation(m, dns.Fqdn(name)) != "") {
			return m
		}
	}
	return nil
}

// knows tells whether an answer says what there is, be it nothing.
func knows(m *dns.Msg) bool {
	return m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError
}

// aliasIn reads the one CNAME record of a name. An answer may hold a whole
// chain, and with it the response code of the chain's end (RFC 6604 §3), but
// only what is said of the name itself counts: the rest will be asked for.
func aliasIn(m *dns.Msg, name string) (string, error) {
	target := ""
	for _, rr := range m.Answer {
		cname, ok := rr.(*dns.CNAME)
		if !ok || relative(cname.Hdr.Name) != name {
			continue
		}
		to := relative(cname.Target)
		switch {
		case !isPlain(to):
			return "", fmt.Errorf("%w: %s points to %q, which is not a name that records can be written at", ErrAlias, name, upstream.Clean(to, 253))
		case target != "" && target != to:
			return "", fmt.Errorf("%w: %s points to both %s and %s", ErrAlias, name, target, to)
		}
		target = to
	}
	return target, nil
}

// isPlain tells whether a name has only the characters of host names and the
// underscore, which is what DNS services take.
func isPlain(name string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	return name != "" && strings.Trim(name, plain) == "" && !strings.HasPrefix(name, ".")
}
