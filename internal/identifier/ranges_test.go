package identifier

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"192.0.2.0/24", "192.0.2.1/32", "0.0.0.0/0", "2001:db8::/32", "::1/128", "::/0"} {
		if p, err := ParseRange(text); err != nil || p.String() != text {
			t.Errorf("%s is %v, %v", text, p, err)
		}
	}
	for _, row := range []struct{ text, word, reason string }{
		{"192.0.2.1", "192.0.2.1/32", "an address"},
		{"2001:db8::1", "2001:db8::1/128", "an address"},
		{"192.0.2.1/24", "192.0.2.0/24", "bits behind the prefix"},
		{"2001:db8::1/32", "2001:db8::/32", "bits behind the prefix"},
		{"192.0.2.0/33", "expected", "too long a prefix"},
		{"192.0.2.0/255.255.255.0", "expected", "a mask"},
		{"192.0.2.1-192.0.2.9", "expected", "first and last"},
		{"::ffff:192.0.2.0/120", "IPv4", "IPv4 in the form of IPv6: it would hold nothing"},
		{"fe80::%eth0/64", "expected", "a zone"},
		{"fe80::1%eth0", "expected", "an address with a zone"},
		{"{{identity.entity.metadata.range}}", "expected", "templates are for names"},
		{"", "expected", "nothing"},
	} {
		if _, err := ParseRange(row.text); !errors.Is(err, ErrRange) || !strings.Contains(err.Error(), row.word) {
			t.Errorf("%s: %q: %v, want a word of %q", row.reason, row.text, err, row.word)
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	var prefixes []netip.Prefix
	for _, text := range []string{"10.1.0.0/16", "10.0.0.0/8", "192.0.2.128/25", "192.0.2.128/32", "2001:db8::/32", "::/128"} {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	ranges := NewRanges(prefixes)
	for address, held := range map[string]bool{
		"10.0.0.0": true, "10.255.255.255": true, "10.1.2.3": true, "11.0.0.0": false, "9.255.255.255": false,
		"192.0.2.127": false, "192.0.2.128": true, "192.0.2.255": true, "192.0.3.0": false,
		"2001:db8::1": true, "2001:db9::": false, "::": true, "::1": false, "0.0.0.0": false,
		"::ffff:10.0.0.1": false, // is no identifier
	} {
		if ranges.Hold(netip.MustParseAddr(address)) != held {
			t.Errorf("whether %s is held is not %t", address, held)
		}
	}
	if (Ranges{}).Hold(netip.MustParseAddr("10.0.0.1")) || ranges.Hold(netip.Addr{}) {
		t.Error("nothing holds something, or something holds nothing")
	}
}

// TestRangesHoldWhatTheirRangesDo compares the search with looking at each.
func TestRangesHoldWhatTheirRangesDo(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		prefixes := make([]netip.Prefix, random.IntN(12))
		for i := range prefixes {
			address := netip.AddrFrom4([4]byte{10, byte(random.IntN(2)), byte(random.IntN(4)), byte(random.IntN(256))})
			prefixes[i] = netip.PrefixFrom(address, 14+random.IntN(19)).Masked()
		}
		ranges := NewRanges(prefixes)
		for range 20 {
			address := netip.AddrFrom4([4]byte{10, byte(random.IntN(3)), byte(random.IntN(5)), byte(random.IntN(256))})
			want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
			if ranges.Hold(address) != want {
				t.Fatalf("whether %v hold %s is not %t", prefixes, address, want)
			}
		}
	}
}

// FuzzParse holds that an identifier is one thing, and reads as what it was.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "www.example.com", "*.example.com", "192.0.2.1", "::1", "[::1]", "::ffff:1.2.3.4", "fe80::1%lo", "1.2.3.4.5", "räksmörgås.se", "192.0.2.0/24",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := Parse(text)
		if err != nil {
			if id != (Identifier{}) {
				t.Errorf("%q is refused and is %v", text, id)
			}
			return
		}
		again, err := Parse(id.String())
		if err != nil || again != id {
			t.Errorf("%q is %v, which is %v (%v)", text, id, again, err)
		}
		if stored, err := Of(id.ACME()); err != nil || stored != id {
			t.Errorf("%q is stored as %v and read as %v (%v)", text, id.ACME(), stored, err)
		}
	})
}
