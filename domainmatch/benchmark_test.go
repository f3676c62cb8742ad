package domainmatch

import (
	"fmt"
	"testing"
)

// BenchmarkCheck shows what one check costs with more and more entries. Names are
// asked for in turn, allowed by 64 entries from all over the list. The refused-…
// cases ask for what no entry allows, under all options, and count the rejection.
// All are flat but for globs-same-ends, the exception that globIndex explains.
//
// Asking for a thousand times as many names would also measure how much of the
// index the processor's caches hold, which is a question of the machine.
func BenchmarkCheck(b *testing.B) {
	for _, kind := range []struct {
		name    string
		entry   func(i int) string
		ask     func(i int) string
		options string
	}{
		{"plain", at("www.host-%d.example.com"), at("www.host-%d.example.com"), ""},
		{"bare", at("host-%d.com"), at("host-%d.com"), "bare_domains"},
		{"subdomains", at("host-%d.example.com"), at("a.b.host-%d.example.com"), "subdomains"},
		{"wildcards", at("*.host-%d.example.com"), at("*.host-%d.example.com"), "wildcards"},
		{"globs", at("*.host-%d.example.com"), at("a.b.host-%d.example.com"), "globs"},
		{"globs-prefix", at("host-%d-*.example.com"), at("host-%d-a.b.example.com"), "globs"},
		{"globs-two-stars", at("*.*.host-%d.example.com"), at("a.b.host-%d.example.com"), "globs"},
		{"globs-same-ends", at("*.host-%d.*.example.com"), at("a.host-%d.b.example.com"), "globs"},
		{"refused", at("host-%d.example.com"), at("a.b.host-%d.example.org"), "bare_domains,subdomains,wildcards,globs"},
	} {
		for _, size := range []int{10, 1_000, 100_000} {
			b.Run(fmt.Sprintf("%s-%d", kind.name, size), func(b *testing.B) {
				policy := benchmarkPolicy(b, size, kind.entry, kind.options)
				benchmarkCheck(b, policy, size, kind.ask, kind.name != "refused")
			})
		}
	}
}

func at(format string) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i) }
}

func benchmarkPolicy(b *testing.B, size int, entry func(int) string, options string) *Policy {
	b.Helper()
	entries := make([]Entry, size)
	for i := range entries {
		entries[i] = mustEntry(b, entry(i))
	}
	var set []Option
	for _, s := range splitList(options) {
		set = append(set, Option(s))
	}
	return NewPolicy(entries, set)
}

func benchmarkCheck(b *testing.B, policy *Policy, size int, ask func(int) string, allowed bool) {
	b.Helper()
	const asked = 64
	requests := make([][]Name, asked)
	for i := range requests {
		requests[i] = []Name{mustParse(b, ask(i*size/asked))}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := policy.Check(requests[i%asked]); (err == nil) != allowed {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"www.example.com", "WWW.räksmörgås.se"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNewPolicy is what a role costs once, when it is written or first used.
func BenchmarkNewPolicy(b *testing.B) {
	for _, size := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchmarkPolicy(b, size, at("*.host-%d.example.com"), "globs")
			}
		})
	}
}
