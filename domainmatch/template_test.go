package domainmatch

import (
	"strings"
	"testing"
)

const entityName = "identity.entity.name"

// fills are values and what they make of a template; "" means that the entry then
// matches nothing.
var fills = []struct{ template, value, want, reason string }{
	{"{{identity.entity.name}}.example.com", "alice", "alice.example.com", "a label"},
	{"{{identity.entity.name}}.example.com", "Alice", "alice.example.com", "DNS knows no case"},
	{"{{identity.entity.name}}.example.com", "web-01", "web-01.example.com", "digits and a hyphen"},
	{"{{identity.entity.name}}.example.com", "räksmörgås", "xn--rksmrgs-5wao1o.example.com", "U-label"},
	{"{{identity.entity.name}}.example.com", "RÄKSMÖRGÅS", "xn--rksmrgs-5wao1o.example.com", "U-label in capitals"},
	{"{{identity.entity.name}}.example.com", "xn--rksmrgs-5wao1o", "xn--rksmrgs-5wao1o.example.com", "a whole A-label is the same label"},
	{"{{identity.entity.name}}.example.com", strings.Repeat("a", 63), strings.Repeat("a", 63) + ".example.com", "as long as a label may be"},
	{"app-{{identity.entity.name}}.example.com", "alice", "app-alice.example.com", "part of a label"},
	{"app{{identity.entity.name}}.example.com", "-1", "app-1.example.com", "a hyphen where the label may have one"},
	{"räk-{{identity.entity.name}}.example.com", "alice", "xn--rk-alice-0za.example.com", "part of a U-label"},
	{"app-{{identity.entity.name}}.example.com", "räk", "xn--app-rk-fua.example.com", "a U-label's part"},
	{"*.{{identity.entity.name}}.example.com", "alice", "*.alice.example.com", "below a star"},
	{"{{identity.entity.name}}-*.example.com", "alice", "alice-*.example.com", "next to a star"},
	{"{{identity.entity.name}}.{{identity.entity.name}}.com.", "alice", "alice.alice.com", "twice, and a trailing dot"},
	{"example.{{identity.entity.name}}", "com", "example.com", "the top-level domain, if the operator wants it"},

	{"{{identity.entity.name}}.example.com", "", "", "nothing"},
	{"{{identity.entity.name}}.example.com", "*", "", "a star"},
	{"{{identity.entity.name}}.example.com", "a*", "", "a star"},
	{"{{identity.entity.name}}.example.com", "＊", "", "a full-width star"},
	{"{{identity.entity.name}}.example.com", "a.b", "", "a dot"},
	{"{{identity.entity.name}}.example.com", "a.", "", "a dot at the end"},
	{"{{identity.entity.name}}.example.com", "a。b", "", "an ideographic full stop"},
	{"{{identity.entity.name}}.example.com", "a．b", "", "a full-width dot"},
	{"{{identity.entity.name}}.example.com", "a｡b", "", "a half-width dot"},
	{"{{identity.entity.name}}.example.com", "evil.com/", "", "a path"},
	{"{{identity.entity.name}}.example.com", "a?", "", "glob character"},
	{"{{identity.entity.name}}.example.com", "[a]", "", "glob class"},
	{"{{identity.entity.name}}.example.com", "{a,b}", "", "glob alternatives"},
	{"{{identity.entity.name}}.example.com", `a\b`, "", "escape"},
	{"{{identity.entity.name}}.example.com", "a b", "", "a space"},
	{"{{identity.entity.name}}.example.com", "alice\n", "", "a newline"},
	{"{{identity.entity.name}}.example.com", "alice@example.com", "", "an e-mail address"},
	{"{{identity.entity.name}}.example.com", "{{identity.entity.id}}", "", "a template within a template"},
	{"{{identity.entity.name}}.example.com", "a_b", "", "an underscore"},
	{"{{identity.entity.name}}.example.com", "\xff", "", "not UTF-8"},
	{"{{identity.entity.name}}.example.com", "-alice", "", "the label would begin with a hyphen"},
	{"{{identity.entity.name}}.example.com", "ab--cd", "", "the label would be reserved"},
	{"{{identity.entity.name}}.example.com", strings.Repeat("a", 64), "", "too long for a label"},
	{"{{identity.entity.name}}.example.com", strings.Repeat("ä", 1000000), "", "refused before any work is done"},
	{"app-{{identity.entity.name}}.example.com", strings.Repeat("a", 63), "", "too long with the rest of the label"},
	{"{{identity.entity.name}}." + longName(250), "alice", "", "too long for a name"},
	{"{{identity.entity.name}}.example.com", "xn--abc-", "", "no A-label"},
	{"{{identity.entity.name}}-b.example.com", "xn--rksmrgs", "", "the label would begin as an A-label does"},
	{"x{{identity.entity.name}}.example.com", "n--rksmrgs-5wao1o", "", "the label would become an A-label"},
	{"X{{identity.entity.name}}.example.com", "N--rksmrgs-5wao1o", "", "the same in capitals"},
	{"{{identity.entity.name}}*.example.com", "xn--", "", "the pattern would match every international label"},
	{"{{identity.entity.name}}*.example.com", "räk", "", "a star next to a U-label"},
	{"{{identity.entity.name}}.example.com", "ａｌｉｃｅ", "", "would become alice, who is somebody else"},
	{"{{identity.entity.name}}.example.com", "ali\u00adce", "", "invisible, would become alice"},
	{"{{identity.entity.name}}.example.com", "ali\u200bce", "", "invisible, would become alice"},
	{"{{identity.entity.name}}.example.com", "\U0001d41alice", "", "a mathematical letter, would become alice"},
	{"{{identity.entity.name}}.example.com", "\u212aelvin", "", "the Kelvin sign, would become kelvin"},
	{"{{identity.entity.name}}.example.com", "\u017fam", "", "a long s, would become sam"},
	{"{{identity.entity.name}}.example.com", "ﬁnn", "", "a ligature, would become finn"},
	{"{{identity.entity.name}}.example.com", "a\u0308", "", "composed, would become ä"},
	{"a{{identity.entity.name}}.example.com", "\u0308b", "", "would change the operator's a to ä"},
	{"foo.{{identity.entity.name}}", "1", "", "would become part of an address"},
	{"{{identity.entity.name}}.אב.com", "1a", "", "may not stand next to right-to-left text"},
	{"{{identity.entity.metadata.team}}.example.com", "alice", "", "a placeholder the identity has no value for"},
}

func TestFill(t *testing.T) {
	t.Parallel()
	for _, test := range fills {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			e := mustEntry(t, test.template)
			filled, ok := e.Fill(identity(entityName, test.value))
			if filled.String() != test.want || ok != (test.want != "") {
				t.Fatalf("%s filled with %q is %q, %v; want %q", e, test.value, filled, ok, test.want)
			}
			if filled.Templated() {
				t.Errorf("%q is still a template", filled)
			}
		})
	}
}

func TestFillLeavesOtherEntriesAlone(t *testing.T) {
	t.Parallel()
	e, ok := mustEntry(t, "Example.com").Fill(identity())
	if !ok || e.String() != "Example.com" || e.pattern != "example.com" {
		t.Errorf("%q (%q), %v", e, e.pattern, ok)
	}
}

func TestPolicyFor(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t, "shared.example.com,{{identity.entity.name}}.users.example.com,{{identity.entity.metadata.team}}.example.com", "subdomains")
	alice := policy.For(identity(entityName, "alice"))
	for _, test := range []struct {
		name            string
		anybody, hers   bool
		whoOwnsAndCould string
	}{
		{"shared.example.com", true, true, "fixed entries hold for everybody"},
		{"www.shared.example.com", true, true, "with their options"},
		{"alice.users.example.com", false, true, "belongs to alice"},
		{"www.alice.users.example.com", false, true, "options hold for filled entries too"},
		{"bob.users.example.com", false, false, "belongs to bob"},
		{"users.example.com", false, false, "the template's parent belongs to nobody"},
	} {
		n := mustParse(t, test.name)
		if got := policy.Allows(n); got != test.anybody {
			t.Errorf("%s for anybody: %v; %s", n, got, test.whoOwnsAndCould)
		}
		if got := alice.Allows(n); got != test.hers {
			t.Errorf("%s for alice: %v; %s", n, got, test.whoOwnsAndCould)
		}
	}
	if alice.Check(mustParseAll(t, "bob.users.example.com")).(*Rejection).Unfilled != 1 {
		t.Error("the rejection should count the template that needs a team")
	}
	fixed := mustPolicy(t, "example.com", "subdomains")
	if fixed.For(identity(entityName, "alice")) != fixed {
		t.Error("a policy without templates is compiled again for every caller")
	}
}
