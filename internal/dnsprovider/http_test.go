package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

const testToken = secret.Text("s3cr3t-token")

var testRecord = dns01.Record{Name: "_acme-challenge.example.com", Value: "value"}

// serveAPI is a client of a service that answers with h.
func serveAPI(t *testing.T, h http.HandlerFunc) *api {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &api{
		label: "test/one", base: server.URL, transport: server.Client().Transport,
		sign:    func(r *http.Request, _ []byte) { r.Header.Set("X-Token", testToken.Reveal()) },
		secrets: []secret.Text{testToken},
		now:     func() time.Time { return time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC) },
	}
}

func TestAPISendsAndReceivesJSON(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a failure shows in what is compared
		got := fmt.Sprint(r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("X-Token"), string(body))
		if want := `PUT/x?q=1application/jsons3cr3t-token{"a":1}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		_, _ = io.WriteString(w, `{"b":2}`)
	})
	var out struct{ B int }
	if err := a.do(t.Context(), http.MethodPut, "/x?q=1", map[string]int{"a": 1}, &out); err != nil || out.B != 2 {
		t.Errorf("got %d, %v", out.B, err)
	}
}

func TestAPISignsTheBody(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, func(http.ResponseWriter, *http.Request) {})
	var signed string
	a.sign = func(_ *http.Request, body []byte) { signed = string(body) }
	if err := a.do(t.Context(), http.MethodPost, "/", []int{1}, nil); err != nil || signed != "[1]" {
		t.Errorf("signed %q, %v", signed, err)
	}
}

func TestAPITellsRefusalsFromTroubles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status  int
		refused bool
		reason  string
	}{
		{302, true, "the base URL is wrong, or somebody is in between"},
		{400, true, "the request will not become better"},
		{401, true, "the credential is wrong"},
		{403, true, "the credential may not do this"},
		{404, true, "there is no such zone"},
		{422, true, "the values are not accepted"},
		{408, false, "too slow, this time"},
		{409, false, "somebody else was changing the same"},
		{423, false, "somebody else is"},
		{425, false, "too early"},
		{429, false, "too often"},
		{500, false, "their fault"},
		{503, false, "too busy"},
	} {
		a := serveAPI(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "Tue, 01 Sep 2026 12:02:00 GMT")
			w.WriteHeader(test.status)
		})
		err := a.failed("example.com", testRecord, a.do(t.Context(), http.MethodGet, "/", nil, nil))
		f, ok := errors.AsType[*dns01.Failure](err)
		if !ok || f.Refused != test.refused || f.RetryAfter != 2*time.Minute || !hasStatus(err, test.status) {
			t.Errorf("%d: got %#v: %s", test.status, err, test.reason)
		}
	}
}

func TestAPIFailureNamesWhatToLookAt(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "{\"error\": \"no such\x1b[31m token %s\"}", r.Header.Get("X-Token"))
	})
	err := a.failed("", testRecord, a.do(t.Context(), http.MethodGet, "/zones?hidden=1", nil, nil))
	want := fmt.Sprintf("DNS provider test/one, record %s: GET %s/zones answered 403 Forbidden: "+
		`{"error": "no such [31m token [redacted]"}`, testRecord.Name, a.base)
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAPIRefusesAnswersItCannotUse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"not JSON": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html><title>Log in</title></html>")
		}, `not the JSON that was expected: "Log in"`},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(" ", maxBody+1))
		}, "more than 8388608 bytes"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, "reading the answer: unexpected EOF"},
		"nothing": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		a := serveAPI(t, test.answer)
		var out struct{}
		err := a.failed("", testRecord, a.do(t.Context(), http.MethodGet, "/", nil, &out))
		if err == nil || !strings.Contains(err.Error(), test.want) || dns01.Refused(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAPIEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.failed("", testRecord, a.do(ctx, http.MethodGet, "/", nil, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAPIFailureOfOurOwn(t *testing.T) {
	t.Parallel()
	a := &api{label: "test/one"}
	if err := a.failed("", testRecord, fmt.Errorf("looking: %w", refusal{errors.New("no zone")})); !dns01.Refused(err) {
		t.Errorf("a refusal of our own: %#v", err)
	}
	if err := a.failed("", testRecord, nil); err != nil {
		t.Errorf("success: %v", err)
	}
}

func TestParseBaseURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want, refusal string }{
		{"https://dns.example", "https://dns.example", ""},
		{"http://127.0.0.1:8081/", "http://127.0.0.1:8081", ""},
		{"https://dns.example/api//", "https://dns.example/api", ""},
		{"", "", "must be an http or https URL"},
		{"dns.example:8081", "", "must be an http or https URL"},
		{"ftp://dns.example", "", "must be an http or https URL"},
		{"https://:443", "", "with a host"},
		{"https://user:pass@dns.example", "", "must not hold a user"},
		{"ftp://user:pass@dns.example", "", "must be an http or https URL"},
		{"https://dns.example?key=1", "", "a query"},
		{"https://dns.example?", "", "a query"},
		{"https://dns.example#x", "", "a fragment"},
		{"https://dns.example/%zz", "", "cannot be read"},
	} {
		got, err := parseBaseURL(test.text)
		if got != test.want || (err == nil) != (test.refusal == "") || (err != nil && !strings.Contains(err.Error(), test.refusal)) {
			t.Errorf("%q: got %q, %v", test.text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "pass@") {
			t.Errorf("the password is in %v", err)
		}
	}
}
