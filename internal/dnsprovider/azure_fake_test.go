package dnsprovider_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	azureLogin  = "login.microsoftonline.com"
	azureHost   = "management.azure.com"
	azureTenant = "11111111-1111-1111-1111-111111111111"
	azureClient = "22222222-2222-2222-2222-222222222222"
	azureSub    = "33333333-3333-3333-3333-333333333333"
	azureGroup  = "dns-group"
	azureSecret = "Zx8Q~azure-client-secret.example"
	azureGroups = "/subscriptions/" + azureSub + "/resourceGroups/" + azureGroup + "/providers/Microsoft.Network/dnsZones"
)

// azureLogins is settings with a secret that the fake knows.
func azureLogins(more ...string) map[string]any {
	raw := map[string]any{
		"client_id": azureClient, "client_secret": azureSecret, "tenant_id": azureTenant,
		"subscription_id": azureSub, "resource_group_name": azureGroup,
	}
	for i := 0; i < len(more); i += 2 {
		raw[more[i]] = more[i+1]
	}
	return raw
}

// fakeAzure is the sign-in of Azure, its resource manager and the metadata
// service of a virtual machine.
type fakeAzure struct {
	*cloud
	*txtZones

	mu       sync.Mutex
	audience string            // that tokens are asked for
	token    string            // the one that is accepted
	query    url.Values        // what the metadata service was asked
	private  string            // a zone that is not public
	labels   map[string]string // of the one record set that has some
}

func serveAzure(t *testing.T, zones ...string) *fakeAzure {
	f := &fakeAzure{txtZones: newZones(zones...), audience: "https://management.core.windows.net/"}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{azureLogin: f.login, azureHost: f.manage, metadataHost: f.metadata})
	return f
}

func azureErrorBody(code, message string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message)
}

func azureRefusal(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, azureErrorBody(code, message))
}

// login is the grant of client credentials (RFC 6749 §4.4).
func (f *fakeAzure) login(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // what is missing is refused
	w.Header().Set("Content-Type", "application/json")
	want := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {azureClient}, "client_secret": {azureSecret},
		"scope": {f.audience + "/.default"},
	}
	if r.URL.Path != "/"+azureTenant+"/oauth2/v2.0/token" || r.PostForm.Encode() != want.Encode() {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided: %s"}`, r.PostForm.Get("client_secret"))
		return
	}
	f.grant(w, `3599`)
}

// metadata is the service that managed identities get tokens of.
func (f *fakeAzure) metadata(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.query = r.URL.Query()
	f.mu.Unlock()
	if r.URL.Path != "/metadata/identity/oauth2/token" || r.Header.Get("Metadata") != "true" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.grant(w, `"3599"`)
}

func (f *fakeAzure) grant(w http.ResponseWriter, seconds string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token = "eyJ0eXAi.azure.token"
	_, _ = fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":%s,"access_token":%q}`, seconds, f.token)
}

func (f *fakeAzure) manage(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	token := f.token
	f.mu.Unlock()
	f.Lock()
	defer f.Unlock()
	rest, ok := strings.CutPrefix(r.URL.Path, azureGroups)
	switch parts := strings.Split(strings.Trim(rest, "/"), "/"); {
	case token == "" || r.Header.Get("Authorization") != "Bearer "+token:
		azureRefusal(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "The access token is invalid.")
	case !ok || r.URL.Query().Get("api-version") == "":
		azureRefusal(w, http.StatusNotFound, "ResourceGroupNotFound", "Resource group could not be found.")
	case rest == "" && r.Method == http.MethodGet:
		f.listZones(w)
	case len(parts) != 3 || parts[1] != "TXT":
		azureRefusal(w, http.StatusBadRequest, "BadRequest", "unknown request "+rest)
	case !slices.Contains(f.names, strings.ToLower(parts[0])):
		azureRefusal(w, http.StatusNotFound, "ParentResourceNotFound", "The zone "+parts[0]+" was not found.")
	default:
		f.recordSet(w, r, strings.ToLower(strings.TrimPrefix(parts[2]+"."+parts[0], "@.")))
	}
}

func (f *fakeAzure) listZones(w http.ResponseWriter) {
	var zones []string
	for _, name := range f.names {
		zones = append(zones, fmt.Sprintf(`{"name":%q,"properties":{"zoneType":"Public"}}`, strings.ToUpper(name[:1])+name[1:]))
	}
	if f.private != "" {
		zones = append(zones, fmt.Sprintf(`{"name":%q,"properties":{"zoneType":"Private"}}`, f.private))
	}
	_, _ = fmt.Fprintf(w, `{"value":[%s]}`, strings.Join(zones, ","))
}

// azureRecords is a record set on the wire.
type azureRecords struct {
	Etag       string `json:"etag,omitempty"`
	Properties struct {
		TTL      int64             `json:"TTL"`
		Metadata map[string]string `json:"metadata,omitempty"`
		TXT      []struct {
			Value []string `json:"value"`
		} `json:"TXTRecords"`
	} `json:"properties"`
}

func (f *fakeAzure) recordSet(w http.ResponseWriter, r *http.Request, name string) {
	etag, exists := strconv.Itoa(f.etags[name]), len(f.records[name]) > 0
	if match := r.Header.Get("If-Match"); match != "" && (match != etag || !exists) || r.Header.Get("If-None-Match") == "*" && exists {
		azureRefusal(w, http.StatusPreconditionFailed, "PreconditionFailed", "The condition was not met.")
		return
	}
	switch r.Method {
	case http.MethodGet:
		f.show(w, name, etag)
	case http.MethodPut:
		var in azureRecords
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Properties.TXT) > 20 {
			azureRefusal(w, http.StatusBadRequest, "BadRequest", "The record set has too many records.")
			return
		}
		var values []string
		for _, record := range in.Properties.TXT {
			text, _ := json.Marshal(record.Value)
			values = append(values, string(text))
		}
		f.labels = in.Properties.Metadata
		f.replaceAll(name, values, in.Properties.TTL)
		f.show(w, name, strconv.Itoa(f.etags[name]))
	case http.MethodDelete:
		f.replaceAll(name, nil, 0)
	}
}

func (f *fakeAzure) show(w http.ResponseWriter, name, etag string) {
	if len(f.records[name]) == 0 {
		azureRefusal(w, http.StatusNotFound, "NotFound", "The resource record was not found.")
		return
	}
	out := azureRecords{Etag: etag}
	out.Properties.TTL, out.Properties.Metadata = f.records[name][0].ttl, f.labels
	for _, text := range f.values(name) {
		var strs []string
		_ = json.Unmarshal([]byte(text), &strs) // it was written by us
		out.Properties.TXT = append(out.Properties.TXT, struct {
			Value []string `json:"value"`
		}{strs})
	}
	_ = json.NewEncoder(w).Encode(out)
}
