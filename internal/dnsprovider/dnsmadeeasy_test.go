package dnsprovider_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	madeEasyHost   = "api.dnsmadeeasy.com"
	madeEasyKey    = "1c1a3c91-4770-4ce7-96f4-54c0eb0e457a"
	madeEasySecret = "c9b5625f-9834-4ff8-baba-4ed5f32cae55"
)

// fakeMadeEasy is the API of DNS Made Easy, version 2.0.
type fakeMadeEasy struct {
	*cloud
	*txtZones
}

func serveMadeEasy(t *testing.T, zones ...string) *fakeMadeEasy {
	f := &fakeMadeEasy{txtZones: newZones(zones...)}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{madeEasyHost: f.serve})
	return f
}

func madeEasyKeys() map[string]any {
	return map[string]any{"api_key": madeEasyKey, "api_secret": madeEasySecret}
}

func madeEasyRefusal(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":[%q]}`, message) // the client may be gone
}

// signed checks the code for the time, which must be about now.
func signed(r *http.Request) bool {
	date := r.Header.Get("x-dnsme-requestDate")
	at, err := http.ParseTime(date)
	code := hmac.New(sha1.New, []byte(madeEasySecret))
	code.Write([]byte(date))
	return err == nil && time.Since(at).Abs() < time.Minute && r.Header.Get("x-dnsme-apiKey") == madeEasyKey &&
		r.Header.Get("x-dnsme-hmac") == hex.EncodeToString(code.Sum(nil))
}

func (f *fakeMadeEasy) serve(w http.ResponseWriter, r *http.Request) {
	f.Lock()
	defer f.Unlock()
	w.Header().Set("Content-Type", "application/json")
	rest, ok := strings.CutPrefix(r.URL.Path, "/V2.0/dns/managed/")
	parts := strings.Split(rest, "/")
	number, _ := strconv.Atoi(parts[0]) // 0 is no zone
	switch {
	case !signed(r):
		madeEasyRefusal(w, http.StatusForbidden, "Unauthorized")
	case ok && rest == "name":
		at := slices.Index(f.names, r.URL.Query().Get("domainname"))
		if at < 0 {
			madeEasyRefusal(w, http.StatusNotFound, "Cannot find domain")
			return
		}
		_, _ = fmt.Fprintf(w, `{"id":%d,"name":%q}`, at+1, f.names[at])
	case number < 1 || number > len(f.names) || len(parts) < 2 || parts[1] != "records":
		madeEasyRefusal(w, http.StatusNotFound, "Not found")
	case r.Method == http.MethodGet:
		f.list(w, r.URL.Query().Get("recordName"), f.names[number-1])
	case r.Method == http.MethodPost:
		f.create(w, r, f.names[number-1])
	case r.Method != http.MethodDelete || !f.drop(parts[2]):
		madeEasyRefusal(w, http.StatusNotFound, "Cannot find record")
	}
}

// madeEasyRecord is a record on the wire.
type madeEasyRecord struct {
	ID          int64  `json:"id,omitempty"`
	Type        string `json:"type"`
	Name        string `json:"name"`
	Value       string `json:"value"`
	TTL         int64  `json:"ttl"`
	GTDLocation string `json:"gtdLocation"`
}

func (f *fakeMadeEasy) list(w http.ResponseWriter, name, zone string) {
	out := map[string][]madeEasyRecord{"data": {}}
	for _, r := range f.records[absolute(name, zone)] {
		out["data"] = append(out["data"], madeEasyRecord{r.id, "TXT", name, r.value, r.ttl, "DEFAULT"})
	}
	_ = json.NewEncoder(w).Encode(out)
}

// create puts values in quotation marks, as the service does.
func (f *fakeMadeEasy) create(w http.ResponseWriter, r *http.Request, zone string) {
	var in madeEasyRecord
	err := json.NewDecoder(r.Body).Decode(&in)
	quoted := `"` + in.Value + `"`
	switch name := absolute(in.Name, zone); {
	case err != nil || in.Type != "TXT" || in.GTDLocation != "DEFAULT":
		madeEasyRefusal(w, http.StatusBadRequest, "Record data is invalid")
	case slices.Contains(f.values(name), quoted):
		madeEasyRefusal(w, http.StatusBadRequest, "Record with this type (TXT), name ("+in.Name+"), and value ("+quoted+") already exists.")
	default:
		f.add(name, quoted, in.TTL)
		w.WriteHeader(http.StatusCreated)
	}
}

// TestMadeEasyRateLimit: too many requests are told as 400, by words.
func TestMadeEasyRateLimit(t *testing.T) {
	t.Parallel()
	f := serveMadeEasy(t, "example.com")
	f.inject(fault{on: "POST", status: 400, body: `{error: ["Rate limit exceeded"]}`})
	err := f.open(t, "dnsmadeeasy", madeEasyKeys()).Add(t.Context(), proof("_acme-challenge.example.com"))
	if failure := failed(t, err, madeEasySecret); failure.Refused || failure.RetryAfter != time.Minute {
		t.Errorf("got %#v", failure)
	}
}

func TestMadeEasySandbox(t *testing.T) {
	t.Parallel()
	f := serveMadeEasy(t, "example.com")
	f.hosts = map[string]http.HandlerFunc{"api.sandbox.dnsmadeeasy.com": f.serve}
	raw := madeEasyKeys()
	raw["sandbox"] = true
	if err := f.open(t, "dnsmadeeasy", raw).Add(t.Context(), proof("_acme-challenge.example.com")); err != nil {
		t.Error(err)
	}
}
