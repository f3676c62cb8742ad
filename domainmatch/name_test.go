package domainmatch

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// spellings are names as people write them, and their canonical form.
var spellings = []struct{ in, want, reason string }{
	{"example.com", "example.com", "plain"},
	{"EXAMPLE.Com", "example.com", "case does not matter"},
	{"example.com.", "example.com", "one trailing dot is the root"},
	{"localhost", "localhost", "a single label is a name; whether a CA certifies it is the CA's to say"},
	{"*.example.com", "*.example.com", "a wildcard name"},
	{"*.EXAMPLE.com.", "*.example.com", "a wildcard name in capitals"},
	{"*.com", "*.com", "a private CA may certify a whole top-level domain"},
	{"3com.com", "3com.com", "a label may begin with a digit (RFC 1123 §2.1)"},
	{"1.2.3.4.example", "1.2.3.4.example", "numbers are labels, as long as the last label is none"},
	{"example.x0", "example.x0", "a number after a letter"},
	{"a-b--c.example.com", "a-b--c.example.com", "two hyphens elsewhere than in third place"},
	{"räksmörgås.se", "xn--rksmrgs-5wao1o.se", "U-label"},
	{"RÄKSMÖRGÅS.SE", "xn--rksmrgs-5wao1o.se", "U-label in capitals"},
	{"XN--rksmrgs-5WAO1O.se", "xn--rksmrgs-5wao1o.se", "A-label in capitals"},
	{"ra\u0308ksmo\u0308rga\u030as.se", "xn--rksmrgs-5wao1o.se", "letters that are composed of two characters"},
	{"*.räksmörgås.se", "*.xn--rksmrgs-5wao1o.se", "a star above a U-label"},
	{"straße.de", "xn--strae-oqa.de", "non-transitional: ß is a letter of its own"},
	{"例え。テスト", "xn--r8jz45g.xn--zckzah", "ideographic full stop separates labels"},
	{"www．example｡com", "www.example.com", "full-width and half-width dots separate labels"},
	{"ｅｘａｍｐｌｅ.com", "example.com", "full-width letters are mapped"},
	{"exam\u00adple.com", "example.com", "a soft hyphen is dropped by the profile"},
	{"نامه\u200cای.com", "xn--mgba3gch31f060k.com", "a joiner where the script needs it (RFC 5892 A.1)"},
	{"אב.com", "xn--4dbc.com", "right to left"},
	{strings.Repeat("a", 63) + ".com", strings.Repeat("a", 63) + ".com", "longest label"},
	{longName(253), longName(253), "longest name"},
	{"*." + longName(251), "*." + longName(251), "the longest wildcard name counts its star"},
}

// longName has n characters in labels of 49 and less.
func longName(n int) string {
	s := strings.Repeat(strings.Repeat("a", 49)+".", n/50)
	return s + strings.Repeat("b", n-len(s))
}

var noNames = []struct {
	in     string
	rule   error
	reason string
}{
	{"", ErrEmpty, "nothing"},
	{".", ErrEmpty, "the root"},
	{longName(254), ErrTooLong, "one character too many"},
	{"*." + longName(252), ErrTooLong, "one character too many with the star"},
	{strings.Repeat("ä.", 10000), ErrTooLong, "refused before any work is done"},
	{strings.Repeat("a", 64) + ".com", ErrLabelTooLong, "one character too many in a label"},
	{strings.Repeat("ä", 60) + ".com", ErrLabelTooLong, "counted in ASCII"},
	{"example..com", ErrEmptyLabel, "two dots"},
	{".example.com", ErrEmptyLabel, "leading dot"},
	{"example.com..", ErrEmptyLabel, "only one trailing dot is the root"},
	{"*..com", ErrEmptyLabel, "nothing between star and dot"},
	{"example。.com", ErrEmptyLabel, "two dots, one of them ideographic"},
	{"\u00ad.com", ErrIDNA, "nothing is left of a soft hyphen"},
	{" example.com", ErrCharacter, "leading space"},
	{"exam ple.com", ErrCharacter, "space"},
	{"example.com\n", ErrCharacter, "newline"},
	{"example.com\x00.evil.com", ErrCharacter, "NUL, which once fooled C programs"},
	{"https://example.com", ErrCharacter, "URL"},
	{"example.com:443", ErrCharacter, "port"},
	{"example.com/", ErrCharacter, "path"},
	{"user@example.com", ErrCharacter, "e-mail address"},
	{"a,b.com", ErrCharacter, "two names in one"},
	{"{{identity.entity.name}}.example.com", ErrCharacter, "a template is no name"},
	{"foo?.example.com", ErrCharacter, "glob character"},
	{"\xff.example.com", ErrCharacter, "not UTF-8"},
	{"\xed\xa0\x80.example.com", ErrCharacter, "half a surrogate pair is not UTF-8"},
	{"_acme-challenge.example.com", ErrUnderscore, "a DNS name, but no host name"},
	{"foo_bar.example.com", ErrUnderscore, "within a label"},
	{"-foo.example.com", ErrHyphen, "leading hyphen"},
	{"foo-.example.com", ErrHyphen, "trailing hyphen"},
	{"-.example.com", ErrHyphen, "only a hyphen"},
	{"ab--cd.example.com", ErrReserved, "reserved for future prefixes"},
	{"*", ErrStar, "a lone star"},
	{"*.", ErrStar, "a star above nothing"},
	{"*.*.example.com", ErrStar, "two stars"},
	{"foo.*.example.com", ErrStar, "inner star"},
	{"foo*.example.com", ErrStar, "partial label"},
	{"*foo.example.com", ErrStar, "partial label"},
	{"**.example.com", ErrStar, "double star"},
	{"＊.example.com", ErrIDNA, "full-width star"},
	{"*．example.com", ErrStar, "a star before a full-width dot"},
	{"192.0.2.1", ErrIPAddress, "IPv4"},
	{"192.0.2.1.", ErrIPAddress, "IPv4 with a trailing dot"},
	{"１９２.０.２.１", ErrIPAddress, "IPv4 in full-width digits"},
	{"2001:db8::1", ErrIPAddress, "IPv6"},
	{"[2001:db8::1]", ErrIPAddress, "IPv6 as in a URL"},
	{"fe80::1%eth0", ErrIPAddress, "IPv6 with a zone"},
	{"*.192.0.2.1", ErrIPAddress, "a star above an address"},
	{"127.1", ErrNumericTLD, "an address to inet_aton"},
	{"999.999.999.999", ErrNumericTLD, "no address, but no name either"},
	{"2130706433", ErrNumericTLD, "an address in decimal"},
	{"0x7f.0x1", ErrNumericTLD, "an address in hexadecimal"},
	{"example.123", ErrNumericTLD, "a numeric top-level domain"},
	{"xn--.com", ErrPunycode, "no digits"},
	{"xn--a.com", ErrPunycode, "decodes to a control character"},
	{"xn--abc-.com", ErrPunycode, "decodes to plain abc"},
	{"xn--räk.com", ErrPunycode, "both forms at once"},
	{"ｘｎ－－abc-.com", ErrPunycode, "Punycode in disguise"},
	{"xn--99999999.com", ErrPunycode, "overflow"},
	{"xn--b-5da.com", ErrPunycode, "decodes to a capital letter"},
	{"xn--zn7c.com", ErrPunycode, "decodes to the replacement character"},
	{"xn--xample-hy68a.com", ErrPunycode, "decodes to a full-width letter, which is never an A-label"},
	{"\u0378.com", ErrIDNA, "no assigned character"},
	{"a\u200db.com", ErrIDNA, "a joiner between letters that do not join"},
	{"a\u200cb.com", ErrIDNA, "a non-joiner likewise"},
	{"\u0301a.com", ErrIDNA, "begins with a combining mark"},
	{"a\u2024b.com", ErrIDNA, "a one dot leader reads as a dot"},
	{"foo＿bar.com", ErrIDNA, "full-width underscore"},
	{"a\u00a0b.com", ErrIDNA, "no-break space"},
	{"אa.com", ErrIDNA, "both directions in one label"},
	{"1a.אב.com", ErrBidi, "a label that may not stand next to right-to-left text"},
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range spellings {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(test.in)
			if err != nil || n.String() != test.want {
				t.Fatalf("Parse(%q) = %q, %v; want %q", test.in, n, err, test.want)
			}
			if again, err := Parse(n.String()); err != nil || again != n {
				t.Errorf("Parse(%q) = %q, %v; want the same name again", n, again, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range noNames {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			n, err := Parse(test.in)
			if err == nil {
				t.Fatalf("Parse(%q) = %q", test.in, n)
			}
			if !errors.Is(err, test.rule) {
				t.Errorf("Parse(%q): %v; want the rule %q", test.in, err, test.rule)
			}
			if n != (Name{}) {
				t.Errorf("Parse(%q) gives a name, %q, with its error", test.in, n)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d characters", len(err.Error()))
			}
		})
	}
}

func TestParseErrorIsASentence(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"foo_bar.com":      `"foo_bar.com" is not a DNS name for a certificate: label "foo_bar": the label has an underscore, which DNS allows but certificates do not`,
		"a\u200bb:80":      `"a\u200bb:80" is not a DNS name for a certificate: label "a\u200bb:80": character ':': a host name has only letters, digits, hyphens and dots, without scheme, port, path or spaces`,
		"192.0.2.1":        `"192.0.2.1" is not a DNS name for a certificate: an IP address is not a DNS name`,
		"*.a.*":            `"*.a.*" is not a DNS name for a certificate: label "*": a star stands only for the whole first label, as in *.example.com`,
		"www.example..com": `"www.example..com" is not a DNS name for a certificate: label "": a label is empty; labels are separated by single dots, and a name does not begin with one`,
	} {
		if _, err := Parse(in); err == nil || err.Error() != want {
			t.Errorf("Parse(%q):\n%v\nwant\n%s", in, err, want)
		}
	}
	if got, want := quoted("a"+strings.Repeat("ä", 500)), `"a`+strings.Repeat("ä", 149)+`"...`; got != want {
		t.Errorf("a long text is quoted as %s, cut within a letter", got)
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	wild, base := mustParse(t, "*.räksmörgås.se"), mustParse(t, "räksmörgås.se")
	if !wild.IsWildcard() || base.IsWildcard() {
		t.Error("only the name with a star is a wildcard name")
	}
	if wild.Base() != base || base.Base() != base {
		t.Errorf("bases are %q and %q, want %q", wild.Base(), base.Base(), base)
	}
	if got := wild.Unicode(); got != "*.räksmörgås.se" {
		t.Errorf("Unicode() = %q", got)
	}
	if got := (Name{"xn--a"}).Unicode(); got != "xn--a" {
		t.Errorf("what does not decode is shown as %q", got)
	}
	seen := map[Name]bool{base: true}
	if !seen[mustParse(t, "xn--RKSMRGS-5wao1o.se.")] {
		t.Error("two spellings of one name are different map keys")
	}
}

func TestNameInJSON(t *testing.T) {
	t.Parallel()
	type record struct {
		Names []Name          `json:"names"`
		Done  map[Name]string `json:"done"`
	}
	const stored = `{"names":["*.example.com","xn--rksmrgs-5wao1o.se"],"done":{"example.com":"yes"}}`
	var r record
	if err := json.Unmarshal([]byte(stored), &r); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(r); err != nil || string(again) != stored {
		t.Errorf("%s, %v; want %s", again, err, stored)
	}
	if _, err := json.Marshal(Name{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("a name that was never set is stored: %v", err)
	}
	n := mustParse(t, "example.com")
	if err := json.Unmarshal([]byte(`"foo_bar.com"`), &n); !errors.Is(err, ErrUnderscore) || n.String() != "example.com" {
		t.Errorf("reading a bad name: %v, and the name is now %q", err, n)
	}
}
