package domainmatch

import (
	"slices"
	"testing"
)

// contractRows is the table of the contract, row by row. Where the contract says
// "all" or "nothing", the names are the ones nearest to the entry.
var contractRows = []struct {
	entries, options string
	allowed, refused string
	reason           string
}{
	{
		"*.example.com", "",
		"", "example.com foo.example.com baz.foo.example.com *.example.com *.foo.example.com",
		"a star means nothing without wildcards or globs",
	},
	{
		"foo.example.com", "",
		"foo.example.com", "example.com baz.foo.example.com *.foo.example.com bar.example.com",
		"an entry that is no bare domain allows itself",
	},
	{
		"*.example.com", "bare_domains",
		"", "example.com foo.example.com baz.foo.example.com *.example.com",
		"bare_domains is about entries without a star",
	},
	{
		"example.com", "bare_domains",
		"example.com", "foo.example.com *.example.com evilexample.com com",
		"a bare domain allows itself with bare_domains",
	},
	{
		"example.com", "",
		"", "example.com foo.example.com *.example.com",
		"a bare domain allows nothing without bare_domains",
	},
	{
		"foo.example.com", "bare_domains",
		"foo.example.com", "example.com",
		"bare_domains does not climb to the parent",
	},
	{
		"*.example.com", "wildcards",
		"*.example.com", "foo.example.com example.com *.foo.example.com",
		"wildcards is about the wildcard name, not about the names it covers",
	},
	{
		"example.com", "bare_domains,subdomains",
		"example.com foo.example.com baz.foo.example.com", "*.example.com evilexample.com",
		"both options add up",
	},
	{
		"example.com", "subdomains",
		"foo.example.com baz.foo.example.com", "example.com *.example.com *.foo.example.com",
		"subdomains does not stand in for bare_domains",
	},
	{
		"*.example.com", "globs",
		"foo.example.com baz.foo.example.com", "example.com *.example.com *.foo.example.com",
		"a glob crosses dots, but does not match wildcard names",
	},
	{
		"*.example.com", "globs,wildcards",
		"foo.example.com baz.foo.example.com *.example.com *.foo.example.com", "example.com",
		"with wildcards it does",
	},
	{
		"xn--rksmrgs-5wao1o.se", "bare_domains",
		"räksmörgås.se xn--rksmrgs-5wao1o.se", "raksmorgas.se",
		"either form may be asked for",
	},
	{
		"räksmörgås.se", "bare_domains",
		"räksmörgås.se xn--rksmrgs-5wao1o.se", "raksmorgas.se",
		"either form may be allowed",
	},
}

// proseRows are the sentences that follow the table.
var proseRows = []struct {
	entries, options string
	allowed, refused string
	reason           string
}{
	{
		"co.uk", "", "", "co.uk example.co.uk",
		"a public suffix is at least as bare as a registrable domain",
	},
	{"co.uk", "bare_domains", "co.uk", "example.co.uk", "and bare_domains allows it alone"},
	{
		"example.co.uk", "", "", "example.co.uk",
		"bare is what the public suffix list says, not what has one dot",
	},
	{"www.example.co.uk", "", "www.example.co.uk", "example.co.uk", "one label more is not bare"},
	{
		"someone.github.io", "", "", "someone.github.io",
		"the private section of the list counts as well",
	},
	{"localhost", "", "", "localhost", "a single label is bare"},
	{"localhost", "bare_domains", "localhost", "", "and bare_domains allows it"},
	{"www.ck", "", "", "www.ck", "an exception of the list makes a registrable domain"},
	{"example.com", "subdomains", "a.b.c.d.example.com", "", "any depth"},
	{
		"example.com", "subdomains", "", "evilexample.com example.com.evil.com com",
		"below means on a label boundary",
	},
	{"foo.example.com", "wildcards", "foo.example.com", "*.foo.example.com *.example.com", "wildcards alone adds no names"},
	{
		"example.com", "subdomains,wildcards", "*.example.com *.foo.example.com a.example.com", "example.com *.com",
		"a wildcard name is below when what follows its star is the entry or below it",
	},
	{"*.example.com", "subdomains", "", "foo.example.com example.com *.example.com", "no name is below a star"},
	{"*.example.com", "subdomains,wildcards", "*.example.com", "*.foo.example.com foo.example.com", "nor is a wildcard name"},
	{
		"web*.example.com", "globs,wildcards", "web1.example.com web-1.example.com web.eu.example.com", "web.example.com aweb1.example.com *.example.com",
		"a star is at least one character",
	},
	{
		"*example.com", "globs,wildcards", "evilexample.com foo.example.com *.example.com", "example.com",
		"a star need not stop at a dot, even where the operator may have meant it",
	},
	{"*.*.example.com", "globs,wildcards", "a.b.example.com *.b.example.com", "b.example.com *.example.com", "two stars are two parts"},
	{"*", "globs", "localhost example.com a.b.c", "*.example.com", "a lone star is any name that is no wildcard"},
	{"foo.*", "globs", "foo.com foo.co.uk", "foo bar.foo.com", "a star may stand at the end"},
	{"a*.b*.example.com", "globs", "a1.b2.example.com a.x.b.y.example.com", "a.b.example.com ba1.b2.example.com", "stars in several labels"},
	{"RÄKSMÖRGÅS.SE.", "bare_domains,subdomains", "Räksmörgås.se smör.räksmörgås.se.", "", "neither case nor a trailing dot matters"},
	{"*.räksmörgås.se", "globs", "smör.xn--rksmrgs-5wao1o.se", "räksmörgås.se", "a star next to a U-label"},
	{"{{identity.entity.name}}.example.com", "bare_domains,subdomains,globs,wildcards", "", "alice.example.com example.com *.example.com", "no identity, no match"},
	{"", "bare_domains,subdomains,globs,wildcards", "", "example.com localhost *.example.com", "no entries, no names"},
}

func TestContract(t *testing.T) {
	t.Parallel()
	if len(contractRows) != 13 {
		t.Fatalf("the contract's table has 12 rows, of which the last one is two here: 13, not %d", len(contractRows))
	}
	for _, row := range slices.Concat(contractRows, proseRows) {
		t.Run(row.entries+"/"+row.options+"/"+row.reason, func(t *testing.T) {
			t.Parallel()
			policy := mustPolicy(t, row.entries, row.options)
			for _, n := range mustParseAll(t, row.allowed) {
				if err := policy.Check([]Name{n}); err != nil {
					t.Errorf("%v, but %s", err, row.reason)
				}
			}
			for _, n := range mustParseAll(t, row.refused) {
				if policy.Check([]Name{n}) == nil {
					t.Errorf("%q is allowed, but %s", n, row.reason)
				}
			}
		})
	}
}
