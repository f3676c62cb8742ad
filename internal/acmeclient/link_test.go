package acmeclient

import (
	"slices"
	"strings"
	"testing"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		headers []string
		want    []string
		reason  string
	}{
		{nil, nil, "no header"},
		{[]string{`<https://ca/alt/1>;rel="alternate"`}, []string{"https://ca/alt/1"}, "the usual form"},
		{[]string{`<https://ca/alt/1>; rel=alternate`}, []string{"https://ca/alt/1"}, "a token needs no quotes"},
		{[]string{`<https://ca/alt/1>; title="x"; REL="Up Alternate"`}, []string{"https://ca/alt/1"}, "names and relations have no case, and there may be several relations"},
		{[]string{`<https://ca/dir>;rel="index"`, `<1>;rel=alternate`, `<2>;rel=alternate`}, []string{"1", "2"}, "several headers"},
		{[]string{`<1>;rel=alternate, <https://ca/dir>;rel=index,<2>;rel=alternate`}, []string{"1", "2"}, "several in one header"},
		{[]string{`<https://ca/a,b;c>;rel=alternate`}, []string{"https://ca/a,b;c"}, "separators inside of the target"},
		{[]string{`<1>;title="a, <9>;rel=alternate";rel=index, <2>;rel=alternate`}, []string{"2"}, "separators inside of quotes"},
		{[]string{`<1>;title="a\", <9>;rel=alternate";rel=index`}, nil, "a quote that is escaped ends nothing"},
		{[]string{`<1>;rel=index;rel=alternate`}, nil, "only the first rel counts (RFC 8288 §3.3)"},
		{[]string{`<1>`, `<2`, `rel=alternate`, `<>;rel`, `;;<`, `,,,`}, nil, "garbage"},
		{[]string{strings.Repeat(`<1>;rel=alternate,`, 1000)}, slices.Repeat([]string{"1"}, maxLinks), "no more than are of use"},
	} {
		if got := links(test.headers, "alternate"); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q gives %q, want %q", test.reason, test.headers, got, test.want)
		}
	}
}

func FuzzLinks(f *testing.F) {
	for _, seed := range []string{"", `<https://ca/1>;rel="alternate"`, `<1>;rel=alternate,<2>;title="\",;";rel="x alternate"`, `<;"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := links([]string{header}, "alternate")
		if len(got) > maxLinks {
			t.Errorf("%d links", len(got))
		}
		for _, target := range got {
			if !strings.Contains(header, "<"+target+">") {
				t.Errorf("%q is not in %q", target, header)
			}
		}
	})
}
