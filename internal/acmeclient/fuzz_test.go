package acmeclient

import (
	"strings"
	"testing"
)

// wantHTTPS fails unless a URL is empty or one that requests may be sent to.
func wantHTTPS(t *testing.T, urls ...string) {
	t.Helper()
	for _, u := range urls {
		if u == "" {
			continue
		}
		if _, err := parseURL(u); err != nil {
			t.Errorf("a URL got through: %v", err)
		}
	}
}

func answerWith(body []byte) *answer {
	return &answer{request: request{doing: "reading", url: "https://ca.example/order/1"}, status: 200, body: body, now: noon}
}

func FuzzOrder(f *testing.F) {
	for _, seed := range []string{
		`{"status":"pending","expires":"2026-09-01T12:00:00Z","identifiers":[{"type":"dns","value":"a.example"}],"authorizations":["/authz/1"],"finalize":"https://ca.example/f"}`,
		`{"status":"valid","certificate":"//other.example/c","error":{"type":"t","subproblems":[{}]}}`,
		`{"status":"\u202e"}`, `[]`, `null`, ``, `{"status":"x","finalize":"https://a:b@c/"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		order, err := answerWith(body).order()
		if err != nil {
			return
		}
		if order.Status == "" && !strings.Contains(string(body), "status") {
			t.Error("an order without a status")
		}
		wantHTTPS(t, order.Authorizations...)
		wantHTTPS(t, order.Finalize, order.Certificate)
	})
}

func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		`{"status":"pending","identifier":{"type":"dns","value":"*.a.example"},"challenges":[{"type":"http-01","url":"/c/1","token":"abc"}]}`,
		`{"status":"valid","identifier":{"value":"x"},"challenges":[null,1,{"type":"dns-01","token":"../","url":"ftp://x/"}]}`,
		`{}`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		authorization, err := answerWith(body).authorization()
		if err != nil {
			return
		}
		for _, c := range authorization.Challenges {
			wantHTTPS(t, c.URL)
			if c.Token != "" && !isBase64URL(c.Token) {
				t.Errorf("token %q", c.Token)
			}
		}
	})
}

func FuzzChain(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		chain, err := parseChain(text)
		if (err == nil) != (len(chain) > 0) || len(chain) > maxChain {
			t.Errorf("%d certificates, %v", len(chain), err)
		}
	})
}

func FuzzRenewalInfo(f *testing.F) {
	for _, seed := range []string{
		`{"suggestedWindow":{"start":"2026-09-01T12:00:00Z","end":"2026-09-02T12:00:00Z"},"explanationURL":"https://ca.example/why"}`,
		`{"suggestedWindow":{"start":"9999-12-31T23:59:59-23:59","end":"0000-01-01T00:00:00Z"}}`,
		`{"suggestedWindow":[]}`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := answerWith(body).renewalInfo()
		if err != nil {
			return
		}
		if _, err := info.Start.MarshalJSON(); err != nil {
			t.Errorf("a start that cannot be stored: %v", err)
		}
		if _, err := info.End.MarshalJSON(); err != nil {
			t.Errorf("an end that cannot be stored: %v", err)
		}
		wantHTTPS(t, info.ExplanationURL)
	})
}
