package http01

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

var tokens = []struct {
	reason, text string
	good         bool
}{
	{"as Let's Encrypt writes it", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", true},
	{"one character", "a", true},
	{"all of the alphabet", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", true},
	{"the longest", strings.Repeat("a", longestToken), true},
	{"longer than the longest", strings.Repeat("a", longestToken+1), false},
	{"nothing", "", false},
	{"padding", "YQ==", false},
	{"the other base64", "a+b/c", false},
	{"a path", "../../etc/passwd", false},
	{"a folder", "a/b", false},
	{"a dot", "index.html", false},
	{"a space", "a b", false},
	{"a line of a header", "a\r\nHost: b", false},
	{"the end of a text", "a\x00", false},
	{"letters of another alphabet", "päckchen", false},
	{"no text at all", "\xff\xfe", false},
}

func TestParseToken(t *testing.T) {
	t.Parallel()
	for _, row := range tokens {
		if err := ParseToken(row.text); (err == nil) != row.good {
			t.Errorf("%s: %q gives %v", row.reason, row.text, err)
		}
	}
}

var shape = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`)

func FuzzParseToken(f *testing.F) {
	for _, row := range tokens {
		f.Add(row.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := ParseToken(text); (err == nil) != shape.MatchString(text) {
			t.Errorf("%q gives %v", text, err)
		}
		if err := ParseToken(base64.RawURLEncoding.EncodeToString([]byte(text))); err != nil && len(text) > 0 && len(text) <= 96 {
			t.Errorf("base64url of %q gives %v", text, err)
		}
	})
}
