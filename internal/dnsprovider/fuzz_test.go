package dnsprovider_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

// oracle is a service that has one answer to everything.
type oracle struct {
	status int
	body   string
	asked  int
}

// most is how often a provider may ask about one record: the zones above it, some
// pages of them and of records, and the change itself.
const most = 400

// RoundTrip implements http.RoundTripper.
func (o *oracle) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.asked++; o.asked > most {
		return nil, errors.New("that is enough")
	}
	return &http.Response{
		StatusCode: o.status, Status: http.StatusText(o.status), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(o.body)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// fuzzed are the types whose answers are read here and not by a library.
func fuzzed() map[string]map[string]any {
	return map[string]map[string]any{
		"cloudflare": {"api_token": cloudflareToken}, "dnsimple": {"access_token": dnsimpleToken}, "dnsmadeeasy": madeEasyKeys(),
		"powerdns": {"base_url": "https://dns.example.com", "api_key": "key"}, "acme-dns": acmeDNSAccount(), "webhook": webhookLogin(),
	}
}

// FuzzAnswers holds that no answer of a service breaks the provider, shows a
// credential, or keeps it asking for ever.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `<html>`, `{"success":true,"result":[],"result_info":{"total_pages":1000000}}`,
		`{"success":true,"result":[{"id":"a","name":"example.com"}],"result_info":{"total_pages":2}}`,
		`{"success":false,"errors":[{"code":1000,"message":"no\u0000"}]}`,
		`{"data":[{"id":1,"name":"example.com","zone_id":"example.com"}],"pagination":{"total_pages":-1}}`, `{"data":{"account":{"id":1}}}`,
		`{"id":1,"name":"example.com","totalPages":9,"data":[{"id":1,"name":"_acme-challenge","value":"\"v\""}]}`, `{"error":["no"]}`,
		`{"name":"example.com.","rrsets":[{"name":"_acme-challenge.example.com.","type":"TXT","ttl":1,"records":[{"content":"\"x"}]}]}`,
		`[{"id":"example.com.","name":"example.com."}]`, `{"txt":"v"}`,
	} {
		for i := range len(fuzzed()) {
			f.Add(uint8(i), uint16(200), body)
			f.Add(uint8(i), uint16(429), body)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, status uint16, body string) {
		all := fuzzed()
		kinds := []string{"acme-dns", "cloudflare", "dnsimple", "dnsmadeeasy", "powerdns", "webhook"}
		kind := kinds[int(which)%len(kinds)]
		e, err := create(kind, all[kind])
		if err != nil {
			t.Fatal(err)
		}
		service := &oracle{status: 100 + int(status)%500, body: body}
		p, err := e.Open(dnsprovider.Options{Transport: service})
		if err != nil {
			t.Fatal(err)
		}
		for _, do := range []func(context.Context, dns01.Record) error{p.Add, p.Remove} {
			service.asked = 0
			err := do(t.Context(), proof("_acme-challenge.www.example.com"))
			if service.asked > most {
				t.Errorf("%s asked more than %d times", kind, most)
			}
			for _, secret := range []string{cloudflareToken, dnsimpleToken, madeEasySecret, acmeDNSPassword, webhookPassword} {
				if err != nil && strings.Contains(err.Error(), secret) && !strings.Contains(body, secret) {
					t.Errorf("%s shows a credential: %v", kind, err)
				}
			}
		}
	})
}

// FuzzSettings holds that settings are refused or can be stored, shown and opened,
// whatever is in a field.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		"", "x", "example.com", "*.example.com", "192.0.2.53", "192.0.2.53:53", "[2001:db8::1]:53", "https://dns.example.com/", "http://x",
		"https://u:p@h/?q#f", "a b", "\n", "60", "-1", "9999999h", "dGhyb3dhd2F5", "recursive", "xn--", strings.Repeat("a", 300),
	} {
		f.Add(seed, uint8(0))
		f.Add(seed, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		for _, kind := range dnsprovider.Types {
			raw := with(fuzzed()[kind.Name()])
			names := []string{}
			for name := range kind.Schema(nil) {
				names = append(names, name)
			}
			slices.Sort(names)
			name := names[int(which)%len(names)]
			raw[name] = text
			e, err := create(kind.Name(), raw)
			if err != nil {
				continue
			}
			if _, err := json.Marshal(e.Show()); err != nil {
				t.Errorf("%s with %s=%q cannot be shown: %v", kind.Name(), name, text, err)
			}
			if _, err := e.Open(dnsprovider.Options{Transport: &oracle{status: 500}}); err != nil {
				t.Errorf("%s took %s=%q, and cannot be opened: %v", kind.Name(), name, text, err)
			}
		}
	})
}
