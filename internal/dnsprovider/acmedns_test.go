package dnsprovider_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	acmeDNSHost     = "auth.example.org"
	acmeDNSUser     = "c36f50e8-4632-44f0-83fe-e070fef28a10"
	acmeDNSPassword = "htB9mR9DYgcu9bX_afHF62erXaH2TS7bg9KW3F7Z"
	acmeDNSSub      = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"
	acmeDNSName     = acmeDNSSub + "." + acmeDNSHost
)

// fakeACMEDNS is an acme-dns server. It keeps the two newest values.
type fakeACMEDNS struct {
	*cloud

	mu     sync.Mutex
	values []string // the oldest first
}

func serveACMEDNS(t *testing.T) *fakeACMEDNS {
	f := &fakeACMEDNS{}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{acmeDNSHost: f.serve})
	return f
}

func acmeDNSAccount() map[string]any {
	return map[string]any{
		"base_url": "https://" + acmeDNSHost, "username": acmeDNSUser, "password": acmeDNSPassword,
		"subdomain": acmeDNSSub, "full_domain": acmeDNSName,
	}
}

func (f *fakeACMEDNS) serve(w http.ResponseWriter, r *http.Request) {
	var in struct{ Subdomain, TXT string }
	err := json.NewDecoder(r.Body).Decode(&in)
	status, says := http.StatusOK, ""
	switch {
	case r.Header.Get("X-Api-User") != acmeDNSUser || r.Header.Get("X-Api-Key") != acmeDNSPassword || in.Subdomain != acmeDNSSub:
		status, says = http.StatusUnauthorized, "forbidden"
	case err != nil || r.Method != http.MethodPost || r.URL.Path != "/update":
		status, says = http.StatusBadRequest, "malformed_json_payload"
	case len(in.TXT) != 43:
		status, says = http.StatusBadRequest, "bad_txt"
	}
	if says != "" {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":%q}`, says)
		return
	}
	f.write(in.TXT)
	_, _ = fmt.Fprintf(w, `{"txt":%q}`, in.TXT)
}

func (f *fakeACMEDNS) write(value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values = append(f.values, value)
	f.values = f.values[max(0, len(f.values)-2):]
}

// numbered is a value of 43 characters.
func numbered(n int) string { return strings.Repeat("v", 42) + fmt.Sprint(n) }

// TestACMEDNSKeepsBothValues: whatever is written again, and whatever others
// wrote, afterwards the newest two are there.
func TestACMEDNSKeepsBothValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		reason       string
		added, other []int
		want         []int
	}{
		{"a name and its wildcard", []int{1, 2}, nil, []int{1, 2}},
		{"the last again", []int{1, 2, 2}, nil, []int{1, 2}},
		{"the first again", []int{1, 2, 1}, nil, []int{1, 2}},
		{"both again, as after an interruption", []int{1, 2, 1, 2}, nil, []int{1, 2}},
		{"a third pushes out the first", []int{1, 2, 3}, nil, []int{2, 3}},
		{"somebody else wrote meanwhile", []int{1, 2, 2}, []int{8, 9}, []int{1, 2}},
	} {
		f := serveACMEDNS(t)
		p := f.open(t, "acme-dns", acmeDNSAccount())
		for i, n := range test.added {
			if i == len(test.added)-1 {
				for _, other := range test.other {
					f.write(numbered(other))
				}
			}
			r := proof(acmeDNSName)
			r.Value = numbered(n)
			if err := p.Add(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for _, n := range test.want {
			want = append(want, numbered(n))
		}
		if !slices.Equal(f.values, want) {
			t.Errorf("%s: the values are %q", test.reason, f.values)
		}
	}
}

func TestACMEDNSDoesNotWriteAgainWhatWasRemoved(t *testing.T) {
	t.Parallel()
	f := serveACMEDNS(t)
	p := f.open(t, "acme-dns", acmeDNSAccount())
	one, two := proof(acmeDNSName), proof(acmeDNSName)
	one.Value, two.Value = numbered(1), numbered(2)
	for _, step := range []func() error{
		func() error { return p.Add(t.Context(), one) },
		func() error { return p.Add(t.Context(), two) },
		func() error { return p.Remove(t.Context(), one) },
		func() error { return p.Add(t.Context(), two) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.count("POST"); n != 3 {
		t.Errorf("%d requests, want one for each value that was added", n)
	}
}

func TestACMEDNSWritesItsOwnNameOnly(t *testing.T) {
	t.Parallel()
	f := serveACMEDNS(t)
	err := f.open(t, "acme-dns", acmeDNSAccount()).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err, acmeDNSPassword); !failure.Refused || !strings.Contains(err.Error(), "CNAME") || len(f.asked) != 0 {
		t.Errorf("got %v after %q", err, f.asked)
	}
}

func TestACMEDNSTellsRefusalsFromTroubles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status  int
		refused bool
	}{{400, true}, {401, true}, {429, false}, {500, false}} {
		f := serveACMEDNS(t)
		f.inject(fault{on: "POST", status: test.status, body: `{"error":"not with ` + acmeDNSPassword + `"}`})
		err := f.open(t, "acme-dns", acmeDNSAccount()).Add(t.Context(), proof(acmeDNSName))
		if failure := failed(t, err, acmeDNSPassword); failure.Refused != test.refused || failure.Zone != acmeDNSName {
			t.Errorf("%d: got %#v", test.status, failure)
		}
	}
}
