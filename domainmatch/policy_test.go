package domainmatch

import (
	"errors"
	"strings"
	"sync"
	"testing"
)

func TestReasons(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		entries, options, name string
		want                   Reason
	}{
		{"example.org", "", "example.com", NoEntry},
		{"example.com", "", "example.com", NeedsBareDomains},
		{"example.com", "bare_domains", "www.example.com", NeedsSubdomains},
		{"*.example.com", "", "*.example.com", NeedsWildcards},
		{"example.com", "subdomains,globs", "*.www.example.com", NeedsWildcards},
		{"*.example.com", "wildcards", "www.example.com", NeedsGlobs},
		{"example.com", "wildcards", "*.example.com", NeedsSubdomains},
		{"example.com", "bare_domains,subdomains,wildcards,globs", "evilexample.com", NoEntry},
		{"*.example.com", "bare_domains,subdomains,wildcards,globs", "example.com", NoEntry},
	} {
		err := mustPolicy(t, test.entries, test.options).Check(mustParseAll(t, test.name))
		var rejection *Rejection
		if !errors.As(err, &rejection) || len(rejection.Names) != 1 || rejection.Names[0].Reason != test.want {
			t.Errorf("%q from %q with %q: %v; want %q", test.name, test.entries, test.options, err, test.want)
		}
	}
}

func TestCheckNamesEveryRefusal(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t, "example.com,{{identity.entity.name}}.example.org", "subdomains")
	names := mustParseAll(t, "www.example.com,example.com,*.example.com,räksmörgås.se")
	const want = `not allowed: "example.com": it is a bare domain, and allowed_domain_options does not include bare_domains; ` +
		`"*.example.com": it is a wildcard name, and allowed_domain_options does not include wildcards; ` +
		`"xn--rksmrgs-5wao1o.se" (räksmörgås.se): no entry of allowed_domains covers it; ` +
		`1 entry of allowed_domains is a template that the caller's identity does not fill`
	if err := policy.Check(names); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	const noTemplates = `not allowed: "localhost": no entry of allowed_domains covers it`
	if err := new(Policy).Check(mustParseAll(t, "localhost")); err == nil || err.Error() != noTemplates {
		t.Errorf("%v\nwant\n%s", err, noTemplates)
	}
	if err := policy.Check(names[:1]); err != nil {
		t.Error(err)
	}
	if err := policy.Check(nil); err != nil {
		t.Errorf("nothing was asked for: %v", err)
	}
}

func TestCheckCountsTemplates(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t, "{{a}}.example.org,{{b}}.example.org", "")
	err := policy.Check(mustParseAll(t, "example.com"))
	if err == nil || !strings.HasSuffix(err.Error(), "; 2 entries of allowed_domains are templates that the caller's identity does not fill") {
		t.Error(err)
	}
}

// Zero values come from records that were never filled; they must not open anything.
func TestZeroValuesAllowNothing(t *testing.T) {
	t.Parallel()
	everything := mustPolicy(t, "*,*.com,example.com,localhost", "bare_domains,subdomains,wildcards,globs")
	if everything.Allows(Name{}) {
		t.Error("no name at all is allowed")
	}
	n := mustParse(t, "example.com")
	if new(Policy).Allows(n) || new(Policy).For(identity()).Check([]Name{n}) == nil {
		t.Error("the zero Policy allows a name")
	}
	if NewPolicy([]Entry{{}}, Options()).Allows(n) || NewPolicy([]Entry{{}}, Options()).Allows(Name{}) {
		t.Error("the zero Entry allows a name")
	}
	if NewPolicy([]Entry{mustEntry(t, "example.com")}, []Option{"everything"}).Allows(n) {
		t.Error("something that is no option counts as one")
	}
}

// Patterns are shared by all requests, and the glob package keeps scratch memory.
func TestPolicyIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	policy := mustPolicy(t, "*.a*.b*.example.com,example.com,{{identity.entity.name}}.org", "globs,subdomains")
	allowed := mustParseAll(t, "x.a1.b1.example.com,x.y.a1.c.b1.example.com,www.example.com")
	refused := mustParse(t, "x.a1.b1.example.org")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if err := policy.For(identity(entityName, "alice")).Check(allowed); err != nil {
					t.Error(err)
				}
				if policy.Allows(refused) {
					t.Errorf("%s is allowed", refused)
				}
			}
		})
	}
	group.Wait()
}

// The index must find a pattern wherever its stars stand, whatever stands beside it.
func TestGlobIndexFindsEveryPattern(t *testing.T) {
	t.Parallel()
	patterns := map[string]string{
		"*.one.example.com":     "a.one.example.com",
		"*-two.example.com":     "a-two.example.com",
		"*three.example.com":    "athree.example.com",
		"four-*.example.com":    "four-a.example.com",
		"five-*-x.example.com":  "five-a-x.example.com",
		"six.*.example.com":     "six.a.example.com",
		"*seven":                "a.bseven",
		"*.eight":               "a.eight",
		"nine.*":                "nine.a.b",
		"ten*":                  "tenten",
		"e*l*even.example.com":  "e1l2even.example.com",
		"e*l*twelve.example":    "e1l2twelve.example",
		"*.thirteen.*":          "a.thirteen.b",
		"a*.fourteen-*.example": "ab.fourteen-1.example",
	}
	var list []string
	for p := range patterns {
		list = append(list, p)
	}
	together := mustPolicy(t, strings.Join(list, ","), "globs")
	for p, s := range patterns {
		n := mustParse(t, s)
		if !together.Allows(n) || !mustPolicy(t, p, "globs").Allows(n) {
			t.Errorf("%q does not match %q", p, n)
		}
	}
}

// A requester chooses the name, so a pattern with many stars must neither match what
// it should not nor try every way to match: the hostile pairs would not end.
func TestGlobsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	patterns := []string{
		"*", "**", "*a*", "a*a", "*.*", "a**.b*", "*ab*ab*.com",
		strings.Repeat("*a", 60) + "*b",
		strings.Repeat("*aaaaaaaaaa", 20) + "*c*",
		strings.Repeat("*", 125) + "b" + strings.Repeat("*", 100),
	}
	texts := []string{
		"a", "aa", "aba", "a.b", "*.a", "abab.com", "xabxab.com", "xabxabx.com",
		strings.Repeat("a", 253), strings.Repeat("a", 252) + "b", strings.Repeat("aaaaaaaaab", 25),
	}
	for _, p := range patterns {
		policy := mustPolicy(t, p, "globs,wildcards")
		for _, s := range texts {
			if got, want := policy.Allows(Name{s}), oracleGlob(p, s); got != want {
				t.Errorf("%q matches %q: %v, want %v", p, s, got, want)
			}
		}
	}
}

func TestRedundant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ names, want, reason string }{
		{"*.example.com,www.example.com", "*.example.com>www.example.com", "one label below"},
		{"b.example.com,*.example.com,a.example.com", "*.example.com>b.example.com *.example.com>a.example.com", "in the order of names"},
		{"*.example.com,example.com", "", "a wildcard does not cover its base"},
		{"*.example.com,a.b.example.com", "", "nor two labels"},
		{"*.example.com,*.b.example.com", "", "nor another wildcard"},
		{"*.example.com,*.example.com", "", "nor itself"},
		{"*.example.com,www.evilexample.com", "", "labels are whole"},
		{"localhost", "", "a single label has nothing above it"},
		{"*.räksmörgås.se,smör.xn--rksmrgs-5wao1o.se", "*.xn--rksmrgs-5wao1o.se>xn--smr-tna.xn--rksmrgs-5wao1o.se", "either form"},
		{"", "", "no names"},
	} {
		var got []string
		for _, o := range Redundant(mustParseAll(t, test.names)) {
			got = append(got, o.Wildcard.String()+">"+o.Name.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("Redundant(%s) = %q, want %q: %s", test.names, got, test.want, test.reason)
		}
	}
}
