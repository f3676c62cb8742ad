package dnsprovider_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

func openPowerDNS(t *testing.T, raw map[string]any) dns01.Provider {
	t.Helper()
	e, err := create("powerdns", raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Open(dnsprovider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPowerDNSConformsAtTheRealServer(t *testing.T) {
	t.Parallel()
	server := dns01test.StartPowerDNS(t, "example.com", "sub.example.com")
	for _, zone := range []string{"example.com", "Sub.Example.com"} {
		t.Run(zone, func(t *testing.T) {
			dns01test.Run(t, func(t *testing.T) dns01test.Bench {
				return dns01test.Bench{
					Provider: openPowerDNS(t, map[string]any{"base_url": server.URL, "api_key": server.Key}),
					Lookup:   server.Lookup, Zone: zone,
				}
			})
		})
	}
}

func TestPowerDNSSaysWhoRefused(t *testing.T) {
	t.Parallel()
	server := dns01test.StartPowerDNS(t, "example.com")
	login := map[string]any{"base_url": server.URL, "api_key": server.Key}
	for _, test := range []struct {
		reason string
		raw    map[string]any
		name   string
		want   string
	}{
		{"another key", with(login, "api_key", "another"), "www.example.com", "answered 401 Unauthorized"},
		{"another server", with(login, "server_id", "elsewhere/x"), "www.example.com", "/servers/elsewhere%2Fx/zones answered 404 Not Found"},
		{"another zone", login, "www.example.org", "sees no zone that holds the name"},
		{"an impossible name", login, strings.Repeat("x", 64) + ".example.com", "answered 422 Unprocessable Entity"},
	} {
		err := openPowerDNS(t, test.raw).Add(t.Context(), proof(dns01.RecordName(test.name)))
		if f := failed(t, err, server.Key, "another"); !f.Refused || f.Provider != "powerdns/one" || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", test.reason, err)
		}
	}
}

// What PowerDNS has at the name, on the wire.
type (
	powerDNSSet struct {
		Name    string           `json:"name"`
		Type    string           `json:"type"`
		TTL     int64            `json:"ttl"`
		Change  string           `json:"changetype"`
		Records []powerDNSRecord `json:"records"`
	}
	powerDNSRecord struct {
		Content  string `json:"content"`
		Disabled bool   `json:"disabled"`
	}
)

// powerDNSProof is a record and how it is written.
func powerDNSProof() (dns01.Record, powerDNSRecord) {
	r := proof("_acme-challenge.www.example.com")
	return r, powerDNSRecord{Content: `"` + r.Value + `"`}
}

// powerDNSScript is a server with one zone and one name, which does to a PATCH
// what a test says.
type powerDNSScript struct {
	mu      sync.Mutex
	kind    string
	version int // 4: REPLACE alone; 5: EXTEND and PRUNE, too
	records []powerDNSRecord
	ttl     int64
	changes []string
	// meddle is called after each change, as somebody else would change things.
	meddle func(s *powerDNSScript)
}

func (s *powerDNSScript) open(t *testing.T) dns01.Provider {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return openPowerDNS(t, map[string]any{"base_url": server.URL, "api_key": "k"})
}

func (s *powerDNSScript) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer any
	name := "_acme-challenge.www.example.com."
	switch {
	case r.Method == http.MethodPatch:
		s.patch(w, r)
		return
	case strings.HasSuffix(r.URL.Path, "/zones"): // all of them, as servers do that know no question
		answer = []map[string]string{{"id": "example.com.", "name": "example.com.", "kind": s.kind}, {"id": "com.", "name": "com.", "kind": "Native"}}
	default: // the whole zone, likewise
		answer = map[string]any{"rrsets": []powerDNSSet{
			{Name: "example.com.", Type: "TXT", TTL: 1, Records: []powerDNSRecord{{Content: `"apex"`}}},
			{Name: name, Type: "A", TTL: 1, Records: []powerDNSRecord{{Content: "192.0.2.1"}}},
			{Name: strings.ToUpper(name), Type: "TXT", TTL: s.ttl, Records: s.records},
		}}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *powerDNSScript) patch(w http.ResponseWriter, r *http.Request) {
	var body struct{ RRsets []powerDNSSet }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.RRsets) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	set := body.RRsets[0]
	if set.Change != "REPLACE" && s.version < 5 {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.changes = append(s.changes, fmt.Sprint(set.Change, " ", set.TTL, " ", set.Records))
	s.ttl = set.TTL
	gone := func(r powerDNSRecord) bool { return slices.Contains(set.Records, r) }
	switch set.Change {
	case "REPLACE":
		s.records = set.Records
	case "EXTEND":
		s.records = append(slices.DeleteFunc(s.records, gone), set.Records...)
	case "PRUNE":
		s.records = slices.DeleteFunc(s.records, gone)
	}
	if s.meddle != nil {
		s.meddle(s)
	}
	w.WriteHeader(http.StatusNoContent)
}

func TestPowerDNSChangesSingleRecordsWhereItCan(t *testing.T) {
	t.Parallel()
	s := &powerDNSScript{version: 5, ttl: 300, records: []powerDNSRecord{{Content: `"others"`}}}
	p, r := s.open(t), proof("_acme-challenge.www.example.com")
	if err := errors.Join(p.Add(t.Context(), r), p.Remove(t.Context(), r)); err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprintf("EXTEND 300 [{%q false}]", r.Value), fmt.Sprintf("PRUNE 300 [{%q false}]", r.Value)}
	if !slices.Equal(s.changes, want) {
		t.Errorf("got %q, want %q", s.changes, want)
	}
}

func TestPowerDNSPutsBackWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	r, ours := powerDNSProof()
	ours.Disabled = true // what nobody sees is not ours
	others := []powerDNSRecord{{Content: `"two" "strings"`}, {Content: `"disabled "`}, ours}
	s := &powerDNSScript{version: 4, ttl: 300, records: slices.Clone(others)}
	p := s.open(t)
	if err := errors.Join(p.Add(t.Context(), r), p.Remove(t.Context(), r)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.records, others) || s.ttl != 300 || len(s.changes) != 2 {
		t.Errorf("left %v with %d seconds by %q", s.records, s.ttl, s.changes)
	}
}

func TestPowerDNSWritesAgainWhatSomebodyElseOverwrote(t *testing.T) {
	t.Parallel()
	r, ours := powerDNSProof()
	theirs := powerDNSRecord{Content: `"theirs"`}
	s := &powerDNSScript{version: 4}
	s.meddle = func(s *powerDNSScript) { s.records, s.meddle = []powerDNSRecord{theirs}, nil }
	if err := s.open(t).Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if want := []powerDNSRecord{theirs, ours}; !slices.Equal(s.records, want) {
		t.Errorf("got %v, want %v", s.records, want)
	}
}

func TestPowerDNSGivesUpAgainstAnother(t *testing.T) {
	t.Parallel()
	s := &powerDNSScript{version: 4, meddle: func(s *powerDNSScript) { s.records = nil }}
	r, _ := powerDNSProof()
	f := failed(t, s.open(t).Add(t.Context(), r))
	if f.Refused || len(s.changes) < 2 || !strings.Contains(f.Error(), "somebody else changed the record set") {
		t.Errorf("got %v after %d changes", f, len(s.changes))
	}
}

func TestPowerDNSDoesNotWriteToCopies(t *testing.T) {
	t.Parallel()
	r, _ := powerDNSProof()
	for _, kind := range []string{"Slave", "Secondary", "Consumer"} {
		s := &powerDNSScript{version: 5, kind: kind}
		if f := failed(t, s.open(t).Add(t.Context(), r)); !f.Refused || !strings.Contains(f.Error(), "only a copy") || len(s.changes) > 0 {
			t.Errorf("%s: got %v", kind, f)
		}
	}
}

func TestPowerDNSSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	login := map[string]any{"base_url": "https://dns.example", "api_key": "k"}
	wrongSettings{
		{"base_url is required", map[string]any{"api_key": "k"}},
		{"base_url must be an http or https URL", with(login, "base_url", "dns.example:8081")},
		{"base_url must not hold a user", with(login, "base_url", "https://user:pass@dns.example")},
		{"api_key is required", map[string]any{"base_url": "https://dns.example"}},
		{"api_key holds a space", with(login, "api_key", "k\r\nHost: x")},
		{"server_id must not be empty", with(login, "server_id", "")},
	}.check(t, "powerdns")
}

func TestPowerDNSSettings(t *testing.T) {
	t.Parallel()
	e, err := create("powerdns", map[string]any{"base_url": "https://dns.example/api/v1/", "api_key": "k"})
	if err != nil {
		t.Fatal(err)
	}
	shown := e.Show()
	_, leaks := shown["api_key"]
	if leaks || shown["base_url"] != "https://dns.example" || shown["server_id"] != "localhost" || shown["ttl"] != int64(60) {
		t.Errorf("an answer would be %v", shown)
	}
}
