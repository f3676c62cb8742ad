package upstream

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want, reason string }{
		{"plain", "plain", ""},
		{"  a \t\r\n b  ", "a b", "one line, single spaces"},
		{"a\x1b[31mred\x00", "a [31mred", "a terminal obeys escape characters"},
		{"evil\u202etxt.exe", "evil txt.exe", "this one turns the direction of what follows"},
		{"zero\u200bwidth\ufeff", "zero width", "what cannot be seen"},
		{"bad \xff\xfe bytes", "bad bytes", "not UTF-8"},
		{"räksmörgås 証明書", "räksmörgås 証明書", "letters of any script stay"},
		{strings.Repeat("x", 21), strings.Repeat("x", 20) + "…", "too long"},
		{strings.Repeat("é", 20), strings.Repeat("é", 20), "characters count, not bytes"},
	} {
		if got := Clean(test.text, 20); got != test.want {
			t.Errorf("%q: got %q, want %q: %s", test.text, got, test.want, test.reason)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a b", "\x00\x1b", "\u202e", "\xff", strings.Repeat("a ", 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Clean(text, 30)
		if utf8.RuneCountInString(got) > 31 { // the ellipsis more
			t.Errorf("%q is too long", got)
		}
		if strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 || !utf8.ValidString(got) {
			t.Errorf("%q is not printable", got)
		}
		if again := Clean(got, 40); again != got {
			t.Errorf("cleaning twice makes %q of %q", again, got)
		}
	})
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ body, contentType, want string }{
		{"<html><head><title>429 Too Many Requests</title><style>h1{}</style></head>\n<body><h1>Slow down</h1><script>alert(1)</script></body></html>", "text/html", "429 Too Many Requests Slow down"},
		{"<!DOCTYPE html><p>no type was given", "", "no type was given"},
		{"upstream connect error", "text/plain", "upstream connect error"},
		{"a < b > c", "text/plain", "a < b > c"},
		{"", "text/html", ""},
		{"<p>" + strings.Repeat("word ", 10000), "text/html", strings.Repeat("word ", 39) + "word…"},
	} {
		if got := Excerpt([]byte(test.body), test.contentType); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
