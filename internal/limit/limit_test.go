package limit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
)

var start = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func problem(status int, kind, detail string) *acme.Problem {
	return &acme.Problem{Type: acme.Namespace + kind, Status: status, Detail: detail}
}

func waiting(p *acme.Problem, d time.Duration) *acme.Problem {
	p.RetryAfter = d
	return p
}

// TestJudge: what each way to fail means for orders to come.
func TestJudge(t *testing.T) {
	t.Parallel()
	set, account := limit.Verdict{Scope: limit.Set}, limit.Verdict{Scope: limit.Account}
	for _, row := range []struct {
		reason string
		err    error
		want   limit.Verdict
	}{
		{"all is well", nil, limit.Verdict{}},
		{"the validation failed", fmt.Errorf("the CA made the order invalid: %w", acme.ErrUnproven), set},
		{"a certificate that is not what was asked for was counted all the same", fmt.Errorf("%w: another key", acme.ErrViolation), set},
		{"CAA forbids the CA to certify the name", problem(403, "caa", ""), set},
		{"the name cannot be looked up", problem(400, "dns", ""), set},
		{"the CA cannot get to the name", problem(400, "connection", ""), set},
		{"something else answers for the name", problem(403, "incorrectResponse", ""), set},
		{"the CA will not have the name", problem(403, "rejectedIdentifier", ""), set},
		{"nor this kind of name", problem(400, "unsupportedIdentifier", ""), set},
		{"the reason lies in a subproblem", &acme.Problem{Type: acme.Malformed, Status: 403, Subproblems: []acme.Problem{*problem(0, "caa", "")}}, set},

		{"a limit, as Let's Encrypt words that of an account", problem(429, "rateLimited", "too many new orders (300) from this account in the last 3h0m0s"), account},
		{"a limit of exactly these names", problem(429, "rateLimited", "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"), set},
		{"as it was worded earlier", problem(429, "rateLimited", "too many certificates (5) already issued for this exact set of domains in the last 168 hours"), set},
		{"a limit of a domain", problem(429, "rateLimited", `too many certificates (50) already issued for "example.com" in the last 168h0m0s`), set},
		{"a limit of a name", problem(429, "rateLimited", `too many failed authorizations (5) for "www.example.com" in the last 1h0m0s`), set},
		{"a limit with the name as the protocol has it", &acme.Problem{Type: acme.RateLimited, Status: 429, Identifier: &acme.Identifier{Value: "a"}}, set},
		{"a limit with the name in a subproblem", &acme.Problem{Type: acme.RateLimited, Status: 429, Subproblems: []acme.Problem{{Identifier: &acme.Identifier{Value: "a"}}}}, set},
		{"a limit that nobody explains is taken for the account's", problem(429, "rateLimited", "slow down"), account},
		{"as a web page without a word", &acme.Problem{Status: 429, Detail: "Too Many Requests"}, account},
		{"with a term", waiting(problem(429, "rateLimited", ""), time.Hour), limit.Verdict{Scope: limit.Account, Wait: time.Hour}},
		{"under another HTTP status", problem(403, "rateLimited", ""), account},
		{"paused until a person opens a page", problem(429, "rateLimited", "see https://ca.example/sfe/v1/unpause?jwt=x"), limit.Verdict{Scope: limit.Set, Human: true}},
		{"new terms of service", problem(403, "userActionRequired", ""), limit.Verdict{Scope: limit.Set, Human: true}},
		{"the CA rests, and says for how long", waiting(problem(503, "serverInternal", ""), time.Minute), limit.Verdict{Scope: limit.Account, Wait: time.Minute, Busy: true}},

		{"the CA fails: that says nothing of names or limits", problem(500, "serverInternal", ""), limit.Verdict{}},
		{"a proxy has no CA behind it", &acme.Problem{Status: 503}, limit.Verdict{}},
		{"the CA is not there", &acme.Unreachable{Doing: "x", Err: errors.New("refused")}, limit.Verdict{}},
		{"a CSR that is the caller's to mend", problem(400, "badCSR", ""), limit.Verdict{}},
		{"an account that is unknown", problem(400, "accountDoesNotExist", ""), limit.Verdict{}},
		{"an account that was deactivated", problem(401, "unauthorized", ""), limit.Verdict{}},
		{"a request that was wrong", problem(400, "malformed", ""), limit.Verdict{}},
		{"storage", errors.New("disk full"), limit.Verdict{}},
	} {
		if got := limit.Judge(row.err); got != row.want {
			t.Errorf("%s: %+v, want %+v", row.reason, got, row.want)
		}
	}
}

// TestFailuresInARow: identifiers wait 1, 10 and 100 minutes, then a day each time.
func TestFailuresInARow(t *testing.T) {
	t.Parallel()
	var h limit.Hold
	now := start
	for n, want := range []time.Duration{time.Minute, 10 * time.Minute, 100 * time.Minute, 24 * time.Hour, 24 * time.Hour} {
		f := limit.Failure{Verdict: limit.Verdict{Scope: limit.Set}, Placed: now, Why: "no", Order: "a"}
		now = now.Add(time.Second)
		h = h.After(f, now, 0)
		if got := h.Until.Sub(now); got != want || h.Count != n+1 {
			t.Errorf("after failure %d: %s, count %d; want %s", n+1, got, h.Count, want)
		}
		if !h.Since.Equal(start.Add(time.Second)) {
			t.Errorf("the first failure in a row was not at %s", h.Since)
		}
		if h.InForce(h.Until) || !h.InForce(h.Until.Add(-1)) {
			t.Error("the hold does not end when it ends")
		}
		if h.InForce(now.Add(-time.Hour)) {
			t.Error("after the clock was set back by an hour the hold would last an hour longer")
		}
		now = h.Until
	}
	if spread := h.After(limit.Failure{Verdict: limit.Verdict{Scope: limit.Set}, Placed: now}, now, 0.5); spread.Until.Sub(now) != 24*time.Hour*11/10 {
		t.Errorf("half the spread of a fifth of a day gives %s", spread.Until.Sub(now))
	}
}

// TestFailureAfterTheClockWasSetBack holds that a failure does not bring back the
// end of a hold that was reckoned from another time.
func TestFailureAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	year := 365 * 24 * time.Hour
	h := limit.Hold{Since: start.Add(year), Last: start.Add(year), Until: start.Add(year + time.Hour), Count: 4}
	h = h.After(limit.Failure{Verdict: limit.Verdict{Scope: limit.Set}, Placed: start}, start, 0)
	if h.Until.Sub(start) != time.Minute || h.Count != 1 || !h.Since.Equal(start) {
		t.Errorf("the hold is %+v, want that of a first failure", h)
	}
}

var (
	now     = start.Add(time.Hour)
	before  = limit.Hold{Since: start, Last: start, Until: start.Add(time.Minute), Count: 1, Why: "no", Order: "a"}
	lasting = limit.Hold{Since: start, Last: start, Until: now.Add(time.Hour), Count: 1, Why: "no", Order: "a"}
)

// single failures, and how long they are heeded. What is spread at all is spread by
// half of what it may be.
var single = []struct {
	reason string
	had    limit.Hold
	is     limit.Failure
	length time.Duration
	count  int
}{
	{
		"an order that was placed before the last failure is no repetition",
		before,
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Set}, Placed: start.Add(-time.Second)},
		66 * time.Second, 1,
	},
	{
		"nor is the same order, after a crash between this record and its own",
		before,
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Set}, Placed: start.Add(-time.Second), Order: "a"},
		66 * time.Second, 1,
	},
	{
		"what the CA asks for is kept to, and not spread",
		limit.Hold{},
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Account, Wait: 36 * time.Second}, Waiting: true},
		36 * time.Second, 1,
	},
	{
		"a refusal without a term",
		limit.Hold{},
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Account}, Waiting: true},
		11 * time.Second, 1,
	},
	{
		"another after the first wait was over",
		before,
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Account}, Waiting: true},
		22 * time.Second, 2,
	},
	{
		"many that were under way together shorten nothing",
		lasting,
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Account, Wait: time.Second}, Waiting: true},
		time.Hour, 1,
	},
	{
		"the furthest limit counts",
		lasting,
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Account, Wait: 2 * time.Hour}, Waiting: true},
		2 * time.Hour, 1,
	},
	{
		"a person has to act: ask again after a day, in case the hold is not lifted",
		limit.Hold{},
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Set, Human: true}},
		24*time.Hour + 24*time.Hour/10, 1,
	},
	{
		"after a long time it is the first failure again",
		limit.Hold{Count: 9, Since: start, Until: now.Add(-8 * 24 * time.Hour)},
		limit.Failure{Verdict: limit.Verdict{Scope: limit.Set}, Placed: now},
		66 * time.Second, 1,
	},
}

// TestOneFailure: how long a single failure, or refusal, is heeded.
func TestOneFailure(t *testing.T) {
	t.Parallel()
	for _, row := range single {
		got := row.had.After(row.is, now, 0.5)
		if got.Until.Sub(now) != row.length || got.Count != row.count {
			t.Errorf("%s: held for %s, count %d; want %s, %d", row.reason, got.Until.Sub(now), got.Count, row.length, row.count)
		}
	}
}

// TestUnexplainedRefusals: the waits double, up to an hour.
func TestUnexplainedRefusals(t *testing.T) {
	t.Parallel()
	var h limit.Hold
	now, asked := start, 0
	for ; now.Before(start.Add(24 * time.Hour)); now = h.Until {
		h = h.After(limit.Failure{Verdict: limit.Verdict{Scope: limit.Account}, Waiting: true}, now, 0)
		asked++
	}
	if asked > 35 {
		t.Errorf("the CA was asked %d times in a day", asked)
	}
	if got := h.Until.Sub(h.Last); got != time.Hour {
		t.Errorf("in the end the wait is %s", got)
	}
}

// TestWordsAreBounded: what a CA says is cut, and stays text.
func TestWordsAreBounded(t *testing.T) {
	t.Parallel()
	long := "x"
	for len(long) < 4000 {
		long += "é"
	}
	h := (&limit.Hold{}).After(limit.Failure{Verdict: limit.Verdict{Scope: limit.Set}, Why: long}, start, 0)
	if len(h.Why) != 999 {
		t.Errorf("%d bytes are kept", len(h.Why))
	}
}

// TestBinds: who is kept back by a hold, of those that are under way.
func TestBinds(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason  string
		order   string
		waiting bool
		want    bool
	}{
		{"another order", "b", false, true},
		{"the one that has ended by it, but for a crash", "a", false, false},
		{"the one that is to ask again", "a", true, true},
	} {
		h := limit.Hold{Order: "a", Waiting: row.waiting, Until: start}
		if got := h.Binds(row.order, start.Add(-1)); got != row.want {
			t.Errorf("%s: %t", row.reason, got)
		}
		if h.Binds(row.order, start) {
			t.Errorf("%s: kept back when the hold is over", row.reason)
		}
	}
}
