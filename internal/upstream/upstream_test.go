package upstream

import (
	"net/http"
	"testing"
	"time"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value  string
		want   time.Duration
		reason string
	}{
		{"", 0, "nothing was said"},
		{"0", 0, "at once"},
		{"120", 2 * time.Minute, "seconds"},
		{"  7 ", 7 * time.Second, "white space around a header's value means nothing"},
		{"Tue, 01 Sep 2026 12:05:00 GMT", 5 * time.Minute, "a date"},
		{"Tuesday, 01-Sep-26 12:05:00 GMT", 5 * time.Minute, "a date of RFC 850, which receivers must accept"},
		{"Tue Sep  1 12:05:00 2026", 5 * time.Minute, "a date of asctime, likewise"},
		{"Tue, 01 Sep 2026 11:00:00 GMT", 0, "the time has come already"},
		{"604800", MaxRetryAfter, "seven days"},
		{"604801", MaxRetryAfter, "no wait is longer"},
		{"Tue, 01 Sep 2099 12:00:00 GMT", MaxRetryAfter, "not by a date either"},
		{"Thu, 01 Sep 9999 12:00:00 GMT", MaxRetryAfter, "and not when the difference overflows"},
		{"99999999999999999999999999", MaxRetryAfter, "more digits than fit"},
		{"-5", 0, "not a number of seconds"},
		{"+5", 0, "nor is this"},
		{"1.5", 0, "nor this"},
		{"5 minutes", 0, "garbage"},
		{"2026-09-01T12:05:00Z", 0, "RFC 3339 is no HTTP date"},
	} {
		if got := RetryAfter(test.value, noon); got != test.want {
			t.Errorf("%q: %v, want %v: %s", test.value, got, test.want, test.reason)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "120", "-1", "9223372036854775808", noon.Add(time.Hour).Format(http.TimeFormat), "Mon, 02 Jan 0001 00:00:00 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := RetryAfter(value, noon); d < 0 || d > MaxRetryAfter {
			t.Errorf("%q: %v", value, d)
		}
	})
}
