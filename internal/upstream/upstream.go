// Package upstream reads what the answers of other people's servers have in
// common: how long they ask to wait, and texts that are not to be trusted.
package upstream

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter bounds what a server may ask for. Longer than the longest
// window of a rate limit, it can only be a mistake.
const MaxRetryAfter = 7 * 24 * time.Hour

// RetryAfter reads a Retry-After header, which holds seconds or an HTTP date
// (RFC 9110 §10.2.3). The result is between 0 and [MaxRetryAfter]; a date in
// the past and what cannot be read are 0.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter // more digits than fit are a long time, too
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), MaxRetryAfter)
}
