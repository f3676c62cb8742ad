package identifier

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

func must(t testing.TB, text string) Identifier {
	t.Helper()
	id, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		text, want string
		kind       acme.IdentifierType
		reason     string
	}{
		{"www.Example.com.", "www.example.com", acme.DNS, "a name"},
		{"*.räksmörgås.se", "*.xn--rksmrgs-5wao1o.se", acme.DNS, "a wildcard name"},
		{"192.0.2.1", "192.0.2.1", acme.IP, "an IPv4 address"},
		{"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1", acme.IP, "lower case, the first longest run of zeros shortened (RFC 5952 §4)"},
		{"2001:0db8::0001", "2001:db8::1", acme.IP, "no leading zeros (RFC 5952 §4.1)"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", acme.IP, "a single zero is not shortened (RFC 5952 §4.2.2)"},
		{"64:ff9b::192.0.2.33", "64:ff9b::c000:221", acme.IP, "an address behind a translator is an IPv6 address"},
		{"::1", "::1", acme.IP, "loopback: what is in use where is not for a parser to know"},
	} {
		id, err := Parse(row.text)
		if err != nil {
			t.Errorf("%s: %v", row.reason, err)
			continue
		}
		if want := (acme.Identifier{Type: row.kind, Value: row.want}); id.ACME() != want || id.String() != row.want {
			t.Errorf("%s: %q is %+v, want %+v", row.reason, row.text, id.ACME(), want)
		}
		if again, err := Of(id.ACME()); again != id || err != nil {
			t.Errorf("%s: what is stored as %+v is read as %v, %v", row.reason, id.ACME(), again, err)
		}
		_, name := id.Name()
		_, address := id.Address()
		if name == address || name != (row.kind == acme.DNS) {
			t.Errorf("%s: it is a name: %t, an address: %t", row.reason, name, address)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		text   string
		rule   error
		word   string
		reason string
	}{
		{"[2001:db8::1]", ErrBrackets, "without brackets", "as in a URL"},
		{"[192.0.2.1]", ErrBrackets, "192.0.2.1", "as in an e-mail address"},
		{"fe80::1%eth0", ErrZone, "one machine", "link-local"},
		{"::ffff:192.0.2.1", ErrMapped, "write 192.0.2.1", "the same address in two forms would be two identifiers"},
		{"::FFFF:c000:0201", ErrMapped, "write 192.0.2.1", "also in hex"},
		{"192.0.2.1:443", domainmatch.ErrCharacter, "port", "a port"},
		{"192.0.2.0/24", domainmatch.ErrCharacter, "192.0.2.0/24", "a range"},
		{"192.0.2.01", domainmatch.ErrNumericTLD, "IP address", "octal or not: programs disagree"},
		{"192.0.2", domainmatch.ErrNumericTLD, "IP address", "an address cut short"},
		{"0x7f000001", domainmatch.ErrNumericTLD, "IP address", "in hex"},
		{"１９２.0.2.1", domainmatch.ErrIPAddress, "IP address", "full-width digits"},
		{"2001:db8::g", domainmatch.ErrCharacter, "2001:db8::g", "no hex digit"},
		{"", domainmatch.ErrEmpty, "empty", "nothing"},
		{strings.Repeat("[", 5000), domainmatch.ErrTooLong, "253", "long nonsense"},
	} {
		id, err := Parse(row.text)
		if !errors.Is(err, row.rule) || !strings.Contains(err.Error(), row.word) || len(err.Error()) > 1000 {
			t.Errorf("%s: %q is %v, %v; want the rule %q and the word %q", row.reason, row.text, id, err, row.rule, row.word)
		}
	}
}

func TestOfRefuses(t *testing.T) {
	t.Parallel()
	for reason, id := range map[string]acme.Identifier{
		"a name as an address":   {Type: acme.IP, Value: "www.example.com"},
		"an address as a name":   {Type: acme.DNS, Value: "192.0.2.1"},
		"a mapped address":       {Type: acme.IP, Value: "::ffff:192.0.2.1"},
		"a type of the future":   {Type: "email", Value: "a@example.com"},
		"nothing":                {},
		"an address with a zone": {Type: acme.IP, Value: "fe80::1%1"},
	} {
		if got, err := Of(id); err == nil || got != (Identifier{}) {
			t.Errorf("%s: got %v, %v", reason, got, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	entry, err := domainmatch.ParseEntry("{{identity.entity.name}}.example.com")
	if err != nil {
		t.Fatal(err)
	}
	ranges := NewRanges([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	policy := NewPolicy(domainmatch.NewPolicy([]domainmatch.Entry{entry}, nil), ranges)
	alice := policy.For(func(string) (string, bool) { return "alice", true })
	name, inside, outside := must(t, "alice.example.com"), must(t, "192.0.2.7"), must(t, "198.51.100.7")
	for _, row := range []struct {
		reason string
		policy Policy
		ids    []Identifier
		want   string // empty: allowed
	}{
		{"an address in a range", policy, []Identifier{inside}, ""},
		{"a name and an address", alice, []Identifier{name, inside}, ""},
		{"identity is for names only", alice, []Identifier{outside}, `not allowed: "198.51.100.7": no range of allowed_ip_ranges holds it`},
		{"names keep their words", policy, []Identifier{name, inside}, `not allowed: "alice.example.com": no entry of allowed_domains covers it; 1 entry of allowed_domains is a template that the caller's identity does not fill`},
		{"all in one", NewPolicy(domainmatch.NewPolicy(nil, nil), ranges), []Identifier{outside, name}, `not allowed: "alice.example.com": no entry of allowed_domains covers it; "198.51.100.7": no range of allowed_ip_ranges holds it`},
		{"the zero policy", Policy{}.For(nil), []Identifier{inside, name}, `not allowed: "alice.example.com": no entry of allowed_domains covers it; "192.0.2.7": no range of allowed_ip_ranges holds it`},
	} {
		got := ""
		if err := row.policy.Check(row.ids); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}
