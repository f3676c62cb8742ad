package dnsprovider_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	cloudflareHost  = "api.cloudflare.com"
	cloudflareToken = "cf-token-YQSn-xWAQiiEh9qM58wZNnyQS7FUdoqGIUAbrh7T"
	cloudflareZones = "/client/v4/zones"
)

// fakeCloudflare is the API of Cloudflare, version 4.
type fakeCloudflare struct {
	*cloud
	*txtZones

	pageSize int
}

func serveCloudflare(t *testing.T, zones ...string) *fakeCloudflare {
	f := &fakeCloudflare{txtZones: newZones(zones...), pageSize: 100}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{cloudflareHost: f.serve})
	return f
}

// cloudflareID is the id of a zone, which has 32 digits.
func cloudflareID(zone string) string { return fmt.Sprintf("%032x", zone)[:32] }

func cloudflareBody(code int, message string) string {
	return fmt.Sprintf(`{"success":false,"errors":[{"code":%d,"message":%q}],"messages":[],"result":null}`, code, message)
}

func cloudflareRefusal(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, cloudflareBody(code, message)) // the client may be gone
}

func (f *fakeCloudflare) serve(w http.ResponseWriter, r *http.Request) {
	f.Lock()
	defer f.Unlock()
	w.Header().Set("Content-Type", "application/json")
	rest, ok := strings.CutPrefix(r.URL.Path, cloudflareZones)
	parts := strings.Split(strings.Trim(rest, "/"), "/")
	zone := slices.IndexFunc(f.names, func(name string) bool { return cloudflareID(name) == parts[0] })
	switch {
	case r.Header.Get("Authorization") != "Bearer "+cloudflareToken:
		cloudflareRefusal(w, http.StatusForbidden, 9109, "Invalid access token")
	case !ok:
		cloudflareRefusal(w, http.StatusNotFound, 7000, "No route for that URI")
	case rest == "":
		f.listZones(w, r.URL.Query().Get("name"))
	case zone < 0 || len(parts) < 2 || parts[1] != "dns_records":
		cloudflareRefusal(w, http.StatusNotFound, 7003, "Could not route to "+rest)
	case r.Method == http.MethodGet:
		f.listRecords(w, r)
	case r.Method == http.MethodPost:
		f.create(w, r)
	case r.Method == http.MethodDelete && f.drop(parts[2]):
		_, _ = fmt.Fprintf(w, `{"result":{"id":%q}}`, parts[2])
	default:
		cloudflareRefusal(w, http.StatusNotFound, 81044, "Record does not exist.")
	}
}

func (f *fakeCloudflare) listZones(w http.ResponseWriter, name string) {
	var found []string
	if slices.Contains(f.names, name) {
		found = append(found, fmt.Sprintf(`{"id":%q,"name":%q}`, cloudflareID(name), name))
	}
	_, _ = fmt.Fprintf(w, `{"success":true,"result":[%s],"result_info":{"page":1,"total_pages":1}}`, strings.Join(found, ","))
}

// cloudflareRecord is a record on the wire.
type cloudflareRecord struct {
	ID      string `json:"id,omitempty"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int64  `json:"ttl"`
}

func (f *fakeCloudflare) listRecords(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var all []cloudflareRecord
	if q.Get("type") == "TXT" {
		for _, record := range f.records[q.Get("name")] {
			all = append(all, cloudflareRecord{strconv.FormatInt(record.id, 10), "TXT", q.Get("name"), record.value, record.ttl})
		}
	}
	pages := slices.Collect(slices.Chunk(all, f.pageSize))
	var out struct {
		Result []cloudflareRecord `json:"result"`
		Info   map[string]int     `json:"result_info"`
	}
	if page, err := strconv.Atoi(q.Get("page")); err == nil && page >= 1 && page <= len(pages) {
		out.Result = pages[page-1]
	}
	out.Info = map[string]int{"total_pages": len(pages)}
	_ = json.NewEncoder(w).Encode(out)
}

func (f *fakeCloudflare) create(w http.ResponseWriter, r *http.Request) {
	var in cloudflareRecord
	err := json.NewDecoder(r.Body).Decode(&in)
	switch {
	case err != nil || in.Type != "TXT" || !f.holds(in.Name):
		cloudflareRefusal(w, http.StatusBadRequest, 9005, "Content for TXT record is invalid.")
	case in.TTL < 60 || in.TTL > 86400:
		cloudflareRefusal(w, http.StatusBadRequest, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
	case slices.Contains(f.values(in.Name), in.Content):
		cloudflareRefusal(w, http.StatusBadRequest, 81058, "An identical record already exists.")
	default:
		f.add(in.Name, in.Content, in.TTL)
		_, _ = io.WriteString(w, `{"success":true,"result":{}}`)
	}
}

func TestCloudflareFindsRecordsOnAllPages(t *testing.T) {
	t.Parallel()
	f := serveCloudflare(t, "example.com")
	f.pageSize = 2
	r := proof("_acme-challenge.example.com")
	for i := range 5 {
		f.put(r.Name, fmt.Sprintf(`"of others %d"`, i), 300)
	}
	f.put(r.Name, `"`+r.Value+`"`, 300)
	p := f.open(t, "cloudflare", map[string]any{"api_token": cloudflareToken})
	if err := p.Remove(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := f.lookup(r.Name); len(got) != 5 || slices.Contains(got, r.Value) {
		t.Errorf("left are %q", got)
	}
}

func TestCloudflareDoesNotLookForAZoneThatIsSet(t *testing.T) {
	t.Parallel()
	f := serveCloudflare(t, "example.com")
	r := proof("_acme-challenge.example.com")
	p := f.open(t, "cloudflare", map[string]any{"api_token": cloudflareToken, "zone_id": cloudflareID("example.com")})
	if err := p.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	expectTXT(t, f.txtZones, r.Name, r.Value)
	if n := f.count("GET " + cloudflareHost + cloudflareZones + "/"); n != 1 || f.count("GET") != 1 {
		t.Errorf("asked: %q", f.asked)
	}
}

func TestCloudflareRaisesShortTTLs(t *testing.T) {
	t.Parallel()
	f := serveCloudflare(t, "example.com")
	r := proof("_acme-challenge.example.com")
	r.TTL = 1
	if err := f.open(t, "cloudflare", map[string]any{"api_token": cloudflareToken}).Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := f.records[r.Name][0].ttl; got != 60 {
		t.Errorf("the time to live is %d", got)
	}
}
