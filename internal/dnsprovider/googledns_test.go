package dnsprovider_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGoogleSharesRecordSets(t *testing.T) {
	t.Parallel()
	f := serveGoogle(t, "example.com")
	r := proof("_acme-challenge.example.com")
	f.put(r.Name, `"first half" "second half"`, 300)
	p := f.open(t, "google-cloud-dns", map[string]any{"credentials": keyFile(), "zone_name": "example-com"})
	if err := p.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := f.records[r.Name]; len(got) != 2 || got[0].ttl != 300 || got[0].value != `"first half" "second half"` {
		t.Errorf("the set became %v", got)
	}
	if err := p.Remove(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := f.values(r.Name); !slices.Equal(got, []string{`"first half" "second half"`}) {
		t.Errorf("the set became %q", got)
	}
	if n := f.count("POST " + googleOAuth); n != 1 {
		t.Errorf("%d tokens were asked for, but one lasts an hour", n)
	}
}

func TestGoogleChoosesTheLongestPublicZone(t *testing.T) {
	t.Parallel()
	f := serveGoogle(t, "example.com", "sub.example.com")
	f.private = "www.sub.example.com"
	if err := f.open(t, "google-cloud-dns", map[string]any{"credentials": keyFile()}).Add(t.Context(), proof("_acme-challenge.www.sub.example.com")); err != nil {
		t.Fatal(err)
	}
	if n := f.count("POST " + googleDNS + "/dns/v1/projects/my-project/managedZones/sub-example-com/changes"); n != 1 {
		t.Errorf("asked: %q", f.asked)
	}
}

func TestGoogleAsksWhichOfTwoZones(t *testing.T) {
	t.Parallel()
	f := serveGoogle(t, "example.com")
	f.twin = true
	err := f.open(t, "google-cloud-dns", map[string]any{"credentials": keyFile()}).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err); !failure.Refused || !strings.Contains(err.Error(), "zone_name") {
		t.Errorf("got %v, want a refusal that says which field tells them apart", err)
	}
}

// TestGoogleIdentities: whoever Vault is, the token that changes records is the
// one that was asked for.
func TestGoogleIdentities(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		raw  map[string]any
		asks []string
	}{
		{"key", map[string]any{"credentials": keyFile()}, []string{"POST " + googleOAuth}},
		{"key with an old token_uri", map[string]any{"credentials": keyFile("token_uri", "https://accounts.google.com/o/oauth2/token")}, []string{"POST " + googleOAuth}},
		{"key for another account", map[string]any{"credentials": keyFile(), "impersonate_service_account": googleOther}, []string{"POST " + googleOAuth, "POST " + googleIAM}},
		{"machine", map[string]any{}, []string{"GET " + metadataHost + "/computeMetadata/v1/project", "GET " + metadataHost + "/computeMetadata/v1/instance"}},
		{"machine for another account", map[string]any{"project": googleProject, "impersonate_service_account": googleOther}, []string{"GET " + metadataHost, "POST " + googleIAM}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := serveGoogle(t, "example.com")
			r := proof("_acme-challenge.example.com")
			if err := f.open(t, "google-cloud-dns", test.raw).Add(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			expectTXT(t, f.txtZones, r.Name, r.Value)
			for _, ask := range test.asks {
				if f.count(ask) != 1 {
					t.Errorf("%s: %d times in %q", ask, f.count(ask), f.asked)
				}
			}
		})
	}
}

func TestGoogleRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		fault   fault
		raw     map[string]any
		refused bool
		says    string
	}{
		{
			"the account was deleted",
			fault{on: "POST " + googleOAuth, status: 400, body: `{"error":"invalid_grant","error_description":"Invalid grant: account not found"}`},
			map[string]any{"credentials": keyFile()},
			true, "invalid_grant: Invalid grant: account not found",
		},
		{
			"may not impersonate",
			fault{on: "POST " + googleIAM, status: 403, body: googleErrorBody(403, "forbidden", "denied")},
			map[string]any{"credentials": keyFile(), "impersonate_service_account": googleOther},
			true, "impersonating " + googleOther,
		},
		{
			"too many requests, told as 403",
			fault{on: "POST " + googleDNS, status: 403, body: googleErrorBody(403, "rateLimitExceeded", "Rate Limit Exceeded")},
			map[string]any{"credentials": keyFile()},
			false, "rateLimitExceeded",
		},
		{
			"too many records",
			fault{on: "POST " + googleDNS, status: 403, body: googleErrorBody(403, "quotaExceeded", "The project has too many records")},
			map[string]any{"credentials": keyFile()},
			true, "quotaExceeded",
		},
		{
			"no virtual machine",
			fault{on: "GET " + metadataHost, status: 404, body: "not found"},
			map[string]any{"project": googleProject},
			true, "metadata service",
		},
		{
			"the machine has no token",
			fault{on: "GET " + metadataHost, status: 200, body: `{}`},
			map[string]any{"project": googleProject},
			false, "without an access token",
		},
		{
			"no project anywhere",
			fault{},
			map[string]any{"credentials": keyFile("project_id", "")},
			true, "project is not set",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := serveGoogle(t, "example.com")
			if test.fault.on != "" {
				f.inject(test.fault)
			}
			err := f.open(t, "google-cloud-dns", test.raw).Add(t.Context(), proof("_acme-challenge.example.com"))
			if failure := failed(t, err, googleKeyPEM()); failure.Refused != test.refused || !strings.Contains(err.Error(), test.says) {
				t.Errorf("refused %t: %v", failure.Refused, err)
			}
		})
	}
}

func TestGoogleForgetsATokenThatIsRefused(t *testing.T) {
	t.Parallel()
	f := serveGoogle(t, "example.com")
	p := f.open(t, "google-cloud-dns", map[string]any{"credentials": keyFile()})
	if err := p.Add(t.Context(), proof("_acme-challenge.example.com")); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	clear(f.tokens) // revoked
	f.mu.Unlock()
	if failure := failed(t, p.Add(t.Context(), proof("_acme-challenge.www.example.com"))); !failure.Refused {
		t.Errorf("got %v", failure)
	}
	if err := p.Add(t.Context(), proof("_acme-challenge.www.example.com")); err != nil {
		t.Errorf("with a new token: %v", err)
	}
}

func TestGoogleTokenEndpointIsBusy(t *testing.T) {
	t.Parallel()
	f := serveGoogle(t, "example.com")
	f.inject(fault{on: "POST " + googleOAuth, status: 503, header: http.Header{"Retry-After": {"21"}}, body: "<html>busy</html>"})
	err := f.open(t, "google-cloud-dns", map[string]any{"credentials": keyFile()}).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err); failure.Refused || failure.RetryAfter != 21*time.Second {
		t.Errorf("got %#v", failure)
	}
}

func TestGoogleLeavesRoutingPoliciesAlone(t *testing.T) {
	t.Parallel()
	f := serveGoogle(t, "example.com")
	f.inject(fault{
		on: "GET " + googleDNS + "/dns/v1/projects/my-project/managedZones/example-com/rrsets", status: 200,
		body: `{"rrsets":[{"name":"_acme-challenge.example.com.","type":"TXT","ttl":60,"routingPolicy":{"wrr":{}}}]}`,
	})
	err := f.open(t, "google-cloud-dns", map[string]any{"credentials": keyFile()}).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err); !failure.Refused || f.count("POST "+googleDNS) != 0 {
		t.Errorf("got %v", err)
	}
}
