package order

import (
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
)

func TestFormatSerial(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ hex, want, reason string }{
		{"0", "00", "zero, which no CA may use, still has a form"},
		{"1", "01", "two digits for each byte"},
		{"7f", "7f", "one byte"},
		{"80", "80", "a high bit, before which DER writes a zero byte, gets none here"},
		{"00ff01", "ff:01", "a zero byte in front is no part of the number"},
		{"04b2c8a1d0", "04:b2:c8:a1:d0", "a zero half of a byte is"},
		{strings.Repeat("ff", 20), strings.TrimSuffix(strings.Repeat("ff:", 20), ":"), "as long as RFC 5280 allows"},
	} {
		n, ok := new(big.Int).SetString(test.hex, 16)
		if !ok {
			t.Fatal(test.hex)
		}
		if got := FormatSerial(n); got != test.want {
			t.Errorf("%s: %s, want %s (%s)", test.hex, got, test.want, test.reason)
		}
	}
}

func TestParseSerial(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want, reason string }{
		{"04:b2:c8", "04:b2:c8", "colons"},
		{"04-b2-c8", "04:b2:c8", "hyphens"},
		{"04b2c8", "04:b2:c8", "nothing between the bytes"},
		{"04-B2:c8", "04:b2:c8", "a mixture, and upper case"},
		{"4b2c8", "04:b2:c8", "printed as a number"},
		{"00:8a:17", "8a:17", "as openssl prints the DER of a high bit"},
		{"000000008a17", "8a:17", "padded"},
		{"00", "00", "zero"},
		{"0", "00", "zero as a number"},
		{"00:00", "00", "a longer zero"},
		{"a", "0a", "one digit"},
		{strings.Repeat("ab", longestSerial), strings.TrimSuffix(strings.Repeat("ab:", longestSerial), ":"), "the longest"},
	} {
		if got, err := ParseSerial(test.text); err != nil || got != test.want {
			t.Errorf("%q: %q, %v, want %q (%s)", test.text, got, err, test.want, test.reason)
		}
	}
	for _, test := range []struct{ text, reason string }{
		{"", "nothing"},
		{":", "a separator alone"},
		{"-1", "a negative number"},
		{"0x12", "a prefix"},
		{"12 34", "a space"},
		{"4:b2", "half a byte between colons could mean two numbers"},
		{"04::b2", "a byte is missing"},
		{":04:b2", "a separator in front"},
		{"04:b2:", "a separator behind"},
		{"04b2:c8", "two bytes between colons"},
		{"xy", "no hex digits"},
		{"../../key", "a path"},
		{"0４", "a digit that is not ASCII"},
		{strings.Repeat("0", 2*longestSerial+1), "too long, even if it is zero"},
	} {
		if got, err := ParseSerial(test.text); !errors.Is(err, ErrSerial) {
			t.Errorf("%q: %q, %v; must be refused: %s", test.text, got, err, test.reason)
		}
	}
}

// FuzzParseSerial holds that what is accepted has one form, however written.
func FuzzParseSerial(f *testing.F) {
	for _, seed := range []string{"", "00", "8a:17", "8A-17", "08a17", "0:1", ":::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseSerial(text)
		if err != nil {
			return
		}
		bare := strings.ReplaceAll(got, ":", "")
		for _, spelling := range []string{got, bare, strings.ToUpper(got), strings.ReplaceAll(got, ":", "-"), "00" + bare} {
			if again, err := ParseSerial(spelling); len(spelling) <= 2*longestSerial && (err != nil || again != got) {
				t.Errorf("%q is %q, but %q is %q, %v", text, got, spelling, again, err)
			}
		}
		raw, err := hex.DecodeString(bare)
		if err != nil || FormatSerial(new(big.Int).SetBytes(raw)) != got {
			t.Errorf("%q is %q, which is not how that number is written", text, got)
		}
	})
}
