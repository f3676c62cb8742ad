package dnsprovider_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	dnsimpleHost  = "api.dnsimple.com"
	dnsimpleToken = "dnsimple_a_1BhVQYPOZqSMvXNhaTcWLIfo"
)

// fakeDNSimple is the API of DNSimple, version 2.
type fakeDNSimple struct {
	*cloud
	*txtZones

	whoami string
}

func serveDNSimple(t *testing.T, zones ...string) *fakeDNSimple {
	f := &fakeDNSimple{txtZones: newZones(zones...), whoami: `{"data":{"user":null,"account":{"id":1010,"email":"a@example.com"}}}`}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{dnsimpleHost: f.serve})
	return f
}

func dnsimpleRefusal(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"message":%q}`, message) // the client may be gone
}

func (f *fakeDNSimple) serve(w http.ResponseWriter, r *http.Request) {
	f.Lock()
	defer f.Unlock()
	w.Header().Set("Content-Type", "application/json")
	rest, inAccount := strings.CutPrefix(r.URL.Path, "/v2/1010/zones/")
	zone, rest, _ := strings.Cut(rest, "/")
	_, id, _ := strings.Cut(rest, "/")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+dnsimpleToken:
		dnsimpleRefusal(w, http.StatusUnauthorized, "Authentication failed")
	case r.URL.Path == "/v2/whoami":
		_, _ = io.WriteString(w, f.whoami)
	case !inAccount:
		dnsimpleRefusal(w, http.StatusNotFound, "Not found")
	case !slices.Contains(f.names, zone):
		dnsimpleRefusal(w, http.StatusNotFound, "Zone `"+zone+"` not found")
	case rest == "":
		_, _ = fmt.Fprintf(w, `{"data":{"id":1,"name":%q}}`, zone)
	case rest == "records" && r.Method == http.MethodGet:
		f.list(w, r.URL.Query().Get("name"), zone)
	case rest == "records" && r.Method == http.MethodPost:
		f.create(w, r, zone)
	case r.Method == http.MethodDelete && f.drop(id):
		w.WriteHeader(http.StatusNoContent)
	default:
		dnsimpleRefusal(w, http.StatusNotFound, "Record `"+id+"` not found")
	}
}

// dnsimpleRecord is a record on the wire.
type dnsimpleRecord struct {
	ID      int64  `json:"id,omitempty"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int64  `json:"ttl"`
}

func (f *fakeDNSimple) list(w http.ResponseWriter, name, zone string) {
	var out struct {
		Data       []dnsimpleRecord `json:"data"`
		Pagination map[string]int   `json:"pagination"`
	}
	for _, r := range f.records[absolute(name, zone)] {
		out.Data = append(out.Data, dnsimpleRecord{r.id, "TXT", name, r.value, r.ttl})
	}
	out.Pagination = map[string]int{"total_pages": 1}
	_ = json.NewEncoder(w).Encode(out)
}

// create stores values in quotation marks, whether they came so or not.
func (f *fakeDNSimple) create(w http.ResponseWriter, r *http.Request, zone string) {
	var in dnsimpleRecord
	err := json.NewDecoder(r.Body).Decode(&in)
	content := `"` + strings.Trim(in.Content, `"`) + `"`
	switch name := absolute(in.Name, zone); {
	case err != nil || in.Type != "TXT" || in.TTL < 1:
		dnsimpleRefusal(w, http.StatusBadRequest, "Validation failed")
	case slices.Contains(f.values(name), content):
		dnsimpleRefusal(w, http.StatusBadRequest, "Zone record already exists")
	default:
		f.add(name, content, in.TTL)
		w.WriteHeader(http.StatusCreated)
	}
}

// absolute is the name of a record that is called by its name within a zone.
func absolute(within, zone string) string {
	if within == "" {
		return zone
	}
	return within + "." + zone
}

func TestDNSimpleNeedsToKnowTheAccountOfAUser(t *testing.T) {
	t.Parallel()
	f := serveDNSimple(t, "example.com")
	f.whoami = `{"data":{"user":{"id":1},"account":null}}`
	r := proof("_acme-challenge.example.com")
	err := f.open(t, "dnsimple", map[string]any{"access_token": dnsimpleToken}).Add(t.Context(), r)
	if failure := failed(t, err, dnsimpleToken); !failure.Refused || !strings.Contains(err.Error(), "set account_id") {
		t.Errorf("got %v", err)
	}
	p := f.open(t, "dnsimple", map[string]any{"access_token": dnsimpleToken, "account_id": "1010"})
	if err := p.Add(t.Context(), r); err != nil {
		t.Error(err)
	}
	expectTXT(t, f.txtZones, r.Name, r.Value)
}

func TestDNSimpleWritesTheNameOfAZone(t *testing.T) {
	t.Parallel()
	f := serveDNSimple(t, "_acme-challenge.example.com") // delegated to keep the rest out of reach
	r := proof("_acme-challenge.example.com")
	if err := f.open(t, "dnsimple", map[string]any{"access_token": dnsimpleToken}).Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, f.txtZones, r.Name, r.Value)
}

func TestDNSimpleSandbox(t *testing.T) {
	t.Parallel()
	f := serveDNSimple(t, "example.com")
	f.hosts = map[string]http.HandlerFunc{"api.sandbox.dnsimple.com": f.serve}
	p := f.open(t, "dnsimple", map[string]any{"access_token": dnsimpleToken, "sandbox": true})
	if err := p.Add(t.Context(), proof("_acme-challenge.example.com")); err != nil {
		t.Error(err)
	}
}
