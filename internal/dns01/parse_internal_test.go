package dns01

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestSystemNameservers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		content string
		want    []string
		refusal string
	}{
		{"nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch example.com\n", []string{"192.0.2.1:53", "[2001:db8::1]:53"}, ""},
		{"# nothing\n", nil, "names no resolver; nameservers has to be set"},
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := systemNameservers(path)
		if !slices.Equal(got, test.want) || (err == nil) != (test.refusal == "") || (err != nil && !strings.Contains(err.Error(), test.refusal)) {
			t.Errorf("%q: %q, %v", test.content, got, err)
		}
	}
	if _, err := systemNameservers(filepath.Join(t.TempDir(), "missing")); err == nil || !strings.Contains(err.Error(), "nameservers has to be set") {
		t.Errorf("no file: %v", err)
	}
}

// FuzzAnswer reads whatever a server might send as an answer.
func FuzzAnswer(f *testing.F) {
	const name = "_acme-challenge.example.com"
	for _, lines := range [][]string{
		{},
		{name + ". 60 IN TXT v"},
		{name + ". 60 IN CNAME " + name + "."},
		{name + ". 60 IN CNAME x.", "x. 60 IN CNAME y.", "y. 60 IN TXT v"},
		{"example.com. 60 IN SOA a. b. 1 2 3 4 5"},
		{"example.com. 60 IN NS a."},
	} {
		m := new(dns.Msg).SetReply(question(name, dns.TypeTXT, true))
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer, m.Ns = append(m.Answer, rr), append(m.Ns, rr)
		}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		for _, zone := range []string{zoneIn(m, name+"."), delegation(m, name+".")} {
			if zone != "" && (zone == "." || !dns.IsSubDomain(zone, name+".")) {
				t.Errorf("%q does not hold the name", zone)
			}
		}
		if target, err := aliasIn(m, name); err == nil && target != "" && (!isPlain(target) || target != strings.ToLower(target)) {
			t.Errorf("alias of %q", target)
		}
		if seen, found := readTXT(m, name, "v"); seen != (found == "") || strings.ContainsFunc(found, func(r rune) bool { return r < ' ' }) {
			t.Errorf("%v, %q", seen, found)
		}
		_ = isAnswer(question(name, dns.TypeTXT, true), m)
	})
}
