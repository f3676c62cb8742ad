package acmeclient

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

func refusal(status int, header http.Header, body string) *acme.Problem {
	a := answer{request: request{url: "https://ca.example/order/1"}, status: status, header: header, body: []byte(body), now: noon}
	return a.problem()
}

func TestProblem(t *testing.T) {
	t.Parallel()
	type header = http.Header
	for _, test := range []struct {
		reason string
		status int
		header header
		body   string
		want   *acme.Problem
	}{
		{"a success is no problem, whatever it looks like", 200, nil, `{"type":"x","detail":"y"}`, nil},
		{
			"everything a document can hold, and the HTTP status above its own", 403,
			header{"Retry-After": {"60"}, "Location": {"/acct/7"}},
			`{"type":"urn:ietf:params:acme:error:unauthorized","detail":"d","status":400,"instance":"https://ca.example/i",
			  "identifier":{"type":"dns","value":"a.example"},"algorithms":["RS256"],
			  "subproblems":[{"type":"t1","detail":"d1","identifier":{"type":"dns","value":"b.example"}}]}`,
			&acme.Problem{
				Type: acme.Unauthorized, Detail: "d", Status: 403, Instance: "https://ca.example/i", Algorithms: []string{"RS256"},
				Identifier:  &acme.Identifier{Type: acme.DNS, Value: "a.example"},
				Subproblems: []acme.Problem{{Type: "t1", Detail: "d1", Identifier: &acme.Identifier{Type: acme.DNS, Value: "b.example"}}},
				RetryAfter:  time.Minute, Location: "https://ca.example/acct/7",
			},
		},
		{
			"a page of a proxy, with a date", 429,
			header{"Content-Type": {"text/html"}, "Retry-After": {"Tue, 01 Sep 2026 13:00:00 GMT"}},
			"<h1>Slow\x1b down</h1>", &acme.Problem{Status: 429, Detail: "Slow down", RetryAfter: time.Hour},
		},
		{"nothing at all", 503, nil, "", &acme.Problem{Status: 503}},
		{"JSON that is no problem document", 500, nil, `{"error":"boom"}`, &acme.Problem{Status: 500, Detail: `{"error":"boom"}`}},
		{"JSON that is no object", 500, nil, `[1]`, &acme.Problem{Status: 500, Detail: `[1]`}},
		{"about:blank says nothing, and a title is better than nothing", 404, nil, `{"type":"about:blank","title":"Not Found"}`, &acme.Problem{Status: 404, Detail: "Not Found"}},
		{"a member of a wrong type costs that member", 400, nil, `{"type":"t","identifier":"a.example","subproblems":7,"detail":"d"}`, &acme.Problem{Status: 400, Type: "t", Detail: "d"}},
		{"what only we say is not taken from a CA", 400, nil, `{"type":"t","retry_after":5,"location":"https://evil.example/"}`, &acme.Problem{Status: 400, Type: "t"}},
		{"a place that cannot be followed is left out", 409, header{"Location": {"http://ca.example/acct/7"}}, `{"type":"t"}`, &acme.Problem{Status: 409, Type: "t"}},
	} {
		if got := refusal(test.status, test.header, test.body); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\ngot  %#v\nwant %#v", test.reason, got, test.want)
		}
	}
}

func TestProblemIsBounded(t *testing.T) {
	t.Parallel()
	sub := `{"type":"t","detail":"d","subproblems":[{"type":"nested"}]}`
	body := `{"type":"t","detail":"` + strings.Repeat("x", 10*maxDetail) + `","subproblems":[` + strings.Repeat(sub+",", 999) + sub + `]}`
	p := refusal(400, nil, body)
	if n := utf8.RuneCountInString(p.Detail); n != maxDetail+1 {
		t.Errorf("a detail of %d characters", n)
	}
	if len(p.Subproblems) != maxSubproblems || p.Subproblems[0].Subproblems != nil {
		t.Errorf("%d subproblems, the first with %d of its own", len(p.Subproblems), len(p.Subproblems[0].Subproblems))
	}
}

// A refusal by the directory or of a nonce must not read as the end of an order.
func TestIndirectRefusal(t *testing.T) {
	t.Parallel()
	for status, later := range map[int]bool{404: false, 410: false, 403: false, 429: true, 503: true} {
		a := answer{request: request{doing: "getting a nonce from", url: "https://ca.example/nonce"}, status: status, now: noon}
		err := a.indirect(a.problem())
		if acme.Gone(err) || !acme.Temporary(err) {
			t.Errorf("status %d: gone %t, temporary %t", status, acme.Gone(err), acme.Temporary(err))
		}
		if _, passed := err.(*acme.Problem); passed != later {
			t.Errorf("status %d: %T", status, err)
		}
	}
}

func FuzzProblem(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"type":"t","detail":"d"}`, `{"subproblems":[{},null,{"identifier":{}}],"type":"t"}`,
		`{"type":{"a":1},"detail":"\u202e\u0000"}`, `{"algorithms":["",null],"title":"x"}`, `<html>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := refusal(400, nil, string(body))
		if p == nil || p.Status != 400 {
			t.Fatalf("%q: %v", body, p)
		}
		if text := p.Error(); !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\n\u202e") {
			t.Errorf("%q", text)
		}
		if _, err := json.Marshal(p); err != nil {
			t.Error(err)
		}
	})
}
