package order

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestNewID(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Millisecond)
	var ids []ID
	for range 100 {
		id, err := NewID()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseID(string(id)); err != nil {
			t.Errorf("a new id is not accepted: %v", err)
		}
		if made := id.Time(); made.Before(before) || made.After(time.Now().Add(time.Second)) {
			t.Errorf("%s was made at %s", id, made)
		}
		if id.Hour() != HourOf(id.Time()) {
			t.Errorf("%s is stored under hour %s", id, id.Hour())
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 100 {
		t.Error("ids do not sort by age, or are not unique")
	}
}

func TestParseIDAcceptsTheCanonicalFormOnly(t *testing.T) {
	t.Parallel()
	const good = "019b76da-a800-7000-8000-00000000000a"
	if id, err := ParseID(good); err != nil || string(id) != good {
		t.Errorf("%s: %v", good, err)
	}
	for _, test := range []struct{ text, reason string }{
		{"", "nothing"},
		{"019B76DA-A800-7000-8000-00000000000A", "upper case: one order, two storage keys"},
		{"019b76daa80070008000000000000000", "without hyphens"},
		{"{019b76da-a800-7000-8000-00000000000a}", "in braces"},
		{"urn:uuid:019b76da-a800-7000-8000-00000000000a", "as a URN"},
		{"019b76da-a800-4000-8000-00000000000a", "version 4 does not tell the hour"},
		{"019b76da-a800-1000-8000-00000000000a", "version 1 tells it otherwise"},
		{"019b76da-a800-7000-c000-00000000000a", "another variant"},
		{"019b76da-a800-7000-0000-00000000000a", "no variant"},
		{"00000000-0000-0000-0000-000000000000", "the nil UUID"},
		{"ffffffff-ffff-ffff-ffff-ffffffffffff", "the max UUID"},
		{"019b76da-a800-7000-8000-00000000000", "too short"},
		{"019b76da-a800-7000-8000-00000000000a0", "too long"},
		{"019b76da-a800-7000-8000-00000000000g", "no hex digit"},
		{"019b76da-a800-7000-8000-00000000000a\n", "a newline"},
		{" 019b76da-a800-7000-8000-00000000000", "a space"},
		{"../../../role/x", "a path"},
		{"019b76da/a800-7000-8000-00000000000a", "a slash"},
	} {
		if id, err := ParseID(test.text); !errors.Is(err, ErrID) {
			t.Errorf("%q is accepted as %q; must not be: %s", test.text, id, test.reason)
		}
	}
}

func TestHour(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		id     ID
		time   string
		hour   string
		reason string
	}{
		{"019b76da-a800-7000-8000-000000000001", "2026-01-01T00:00:00Z", "2026010100", "the first moment of an hour"},
		{"019b7711-967f-7fff-bfff-ffffffffffff", "2026-01-01T00:59:59.999Z", "2026010100", "the last"},
		{"00000000-0000-7000-8000-000000000000", "1970-01-01T00:00:00Z", "1970010100", "the first that there is"},
		{"ffffffff-ffff-7fff-bfff-ffffffffffff", "+10889-08-02T05:31:50.655Z", "10889080205", "the last that there is"},
		{"not an id", "0001-01-01T00:00:00Z", "0001010100", "an hour without orders"},
	} {
		if got := test.id.Time(); got.Format("2006-01-02T15:04:05.999Z07:00") != trimPlus(test.time) || test.id.Hour() != test.hour {
			t.Errorf("%s: made at %s, hour %s (%s)", test.id, got, test.id.Hour(), test.reason)
		}
	}
	east := time.Date(2026, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600))
	if got := HourOf(east); got != "2025123123" {
		t.Errorf("the hour of %s is %s, but hours are those of UTC", east, got)
	}
}

func trimPlus(text string) string {
	if text[0] == '+' {
		return text[1:]
	}
	return text
}

// FuzzParseID holds that an id that is accepted is its own only spelling, and
// harmless in a storage key.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"", "019b76da-a800-7000-8000-00000000000a", "019B76DA-A800-7000-8000-00000000000A", "urn:uuid:019b76da-a800-7000-8000-00000000000a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err != nil {
			return
		}
		if string(id) != text || len(text) != 36 || text[14] != '7' {
			t.Errorf("%q is accepted", text)
		}
		for i, c := range text {
			hyphen := i == 8 || i == 13 || i == 18 || i == 23
			if hyphen != (c == '-') || !hyphen && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				t.Errorf("%q is accepted", text)
			}
		}
	})
}
