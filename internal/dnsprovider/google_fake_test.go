package dnsprovider_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	googleOAuth   = "oauth2.googleapis.com"
	googleDNS     = "dns.googleapis.com"
	googleIAM     = "iamcredentials.googleapis.com"
	googleEmail   = "acme@my-project.iam.gserviceaccount.com"
	googleOther   = "dns@other-project.iam.gserviceaccount.com"
	googleProject = "my-project"
	googleScopes  = "https://www.googleapis.com/auth/"
)

// googleKey is made once, because it takes a while.
var googleKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// googleKeyPEM is the private key as key files have it.
var googleKeyPEM = sync.OnceValue(func() string {
	der, err := x509.MarshalPKCS8PrivateKey(googleKey())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

// keyFile is the key of a service account, with changes.
func keyFile(changes ...string) string {
	file := map[string]string{
		"type": "service_account", "project_id": googleProject, "private_key_id": "key-1", "private_key": googleKeyPEM(),
		"client_email": googleEmail, "client_id": "1", "token_uri": "https://" + googleOAuth + "/token",
	}
	for i := 0; i < len(changes); i += 2 {
		file[changes[i]] = changes[i+1]
	}
	out, err := json.Marshal(file)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// fakeGoogle is the token endpoint of Google, Cloud DNS, the IAM Credentials
// API and the metadata service of a virtual machine.
type fakeGoogle struct {
	*cloud
	*txtZones

	mu      sync.Mutex
	tokens  map[string]string // "scope of account" by token
	private string            // a zone that is not public
	twin    bool              // whether zones are there twice
}

func serveGoogle(t *testing.T, zones ...string) *fakeGoogle {
	f := &fakeGoogle{txtZones: newZones(zones...), tokens: map[string]string{}}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{
		googleOAuth: f.oauth, googleDNS: f.dns, googleIAM: f.iam, metadataHost: f.metadata,
	})
	return f
}

func googleErrorBody(status int, reason, message string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"errors":[{"reason":%q,"message":%[2]q}]}}`, status, message, reason)
}

func googleRefusal(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, googleErrorBody(status, reason, message))
}

func (f *fakeGoogle) grant(what string) (token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	token = fmt.Sprintf("ya29.token-%d", len(f.tokens))
	f.tokens[token] = what
	return token
}

// granted is what the token of a request was granted for.
func (f *fakeGoogle) granted(r *http.Request) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
}

// oauth takes assertions (RFC 7523 §2.1).
func (f *fakeGoogle) oauth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	scope, err := assertion(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, err.Error())
		return
	}
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, f.grant(scope+" of "+googleEmail))
}

func assertion(r *http.Request) (scope string, err error) {
	const kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != kind || r.URL.Path != "/token" {
		return "", fmt.Errorf("not a request for a token: %w", err)
	}
	parts := strings.Split(r.PostForm.Get("assertion"), ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("an assertion of %d parts", len(parts))
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Exp             int64
	}
	for i, out := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, out)
		}
		if err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err == nil {
		err = rsa.VerifyPKCS1v15(&googleKey().PublicKey, crypto.SHA256, sum[:], signature)
	}
	good := header.Alg == "RS256" && header.Kid == "key-1" && claims.Iss == googleEmail && claims.Aud == "https://"+googleOAuth+"/token"
	if err != nil || !good || time.Unix(claims.Exp, 0).Before(time.Now()) {
		return "", fmt.Errorf("the assertion %+v %+v is not accepted: %w", header, claims, err)
	}
	return claims.Scope, nil
}

// iam gives a token of another account to whom may ask for one.
func (f *fakeGoogle) iam(w http.ResponseWriter, r *http.Request) {
	var in struct{ Scope []string }
	_ = json.NewDecoder(r.Body).Decode(&in) // what is missing is refused
	switch {
	case r.URL.Path != "/v1/projects/-/serviceAccounts/"+googleOther+":generateAccessToken",
		!slices.Contains([]string{googleScopes + "iam of " + googleEmail, "machine"}, f.granted(r)):
		googleRefusal(w, http.StatusForbidden, "forbidden", "Permission 'iam.serviceAccounts.getAccessToken' denied")
	default:
		_, _ = fmt.Fprintf(w, `{"accessToken":%q,"expireTime":%q}`,
			f.grant(strings.Join(in.Scope, " ")+" of "+googleOther), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
}

func (f *fakeGoogle) metadata(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Metadata-Flavor") != "Google":
		w.WriteHeader(http.StatusForbidden)
	case r.URL.Path == "/computeMetadata/v1/project/project-id" && r.URL.Query().Get("alt") == "json":
		_, _ = fmt.Fprintf(w, "%q", googleProject)
	case r.URL.Path == "/computeMetadata/v1/instance/service-accounts/default/token":
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, f.grant("machine"))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// googleSet is a record set on the wire.
type googleSet struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	TTL     int64    `json:"ttl"`
	Rrdatas []string `json:"rrdatas"`
}

func (f *fakeGoogle) dns(w http.ResponseWriter, r *http.Request) {
	switch f.granted(r) {
	case googleScopes + "ndev.clouddns.readwrite of " + googleEmail, googleScopes + "ndev.clouddns.readwrite of " + googleOther, "machine":
	default:
		googleRefusal(w, http.StatusUnauthorized, "authError", "Request had invalid authentication credentials.")
		return
	}
	f.Lock()
	defer f.Unlock()
	rest, ok := strings.CutPrefix(r.URL.Path, "/dns/v1/projects/"+googleProject+"/managedZones")
	id, resource, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	zone := strings.ReplaceAll(id, "-", ".")
	switch {
	case !ok:
		googleRefusal(w, http.StatusForbidden, "forbidden", "Forbidden")
	case rest == "":
		f.listZones(w, strings.TrimSuffix(r.URL.Query().Get("dnsName"), "."))
	case !slices.Contains(f.names, zone):
		googleRefusal(w, http.StatusNotFound, "notFound", "The 'parameters.managedZone' resource named '"+id+"' does not exist.")
	case resource == "rrsets":
		f.listSets(w, strings.TrimSuffix(r.URL.Query().Get("name"), "."))
	case resource == "changes" && r.Method == http.MethodPost:
		f.change(w, r, zone)
	}
}

func (f *fakeGoogle) listZones(w http.ResponseWriter, name string) {
	var zones []string
	show := func(zone, visibility string) {
		if zone == name {
			zones = append(zones, fmt.Sprintf(`{"name":%q,"dnsName":%q,"visibility":%q}`, strings.ReplaceAll(zone, ".", "-"), zone+".", visibility))
		}
	}
	for _, zone := range f.names {
		show(zone, "public")
		if f.twin {
			show(zone, "public")
		}
	}
	show(f.private, "private")
	_, _ = fmt.Fprintf(w, `{"managedZones":[%s]}`, strings.Join(zones, ","))
}

func (f *fakeGoogle) listSets(w http.ResponseWriter, name string) {
	var out struct {
		Rrsets []googleSet `json:"rrsets"`
	}
	if len(f.records[name]) > 0 {
		out.Rrsets = append(out.Rrsets, googleSet{name + ".", "TXT", f.records[name][0].ttl, f.values(name)})
	}
	_ = json.NewEncoder(w).Encode(out) // the client may be gone
}

// change makes all of a change or nothing.
func (f *fakeGoogle) change(w http.ResponseWriter, r *http.Request, zone string) {
	var in struct{ Deletions, Additions []googleSet }
	_ = json.NewDecoder(r.Body).Decode(&in) // what is missing is not done
	gone := map[string]bool{}
	for _, s := range in.Deletions {
		name := strings.TrimSuffix(s.Name, ".")
		if len(f.records[name]) == 0 {
			googleRefusal(w, http.StatusNotFound, "notFound", "The 'entity.change.deletions[0]' resource named '"+s.Name+" (TXT)' does not exist.")
			return
		}
		if !slices.Equal(f.values(name), s.Rrdatas) || f.records[name][0].ttl != s.TTL {
			googleRefusal(w, http.StatusPreconditionFailed, "conditionNotMet", "Precondition not met for 'entity.change.deletions[0]'")
			return
		}
		gone[name] = true
	}
	for _, s := range in.Additions {
		name := strings.TrimSuffix(s.Name, ".")
		if !strings.HasSuffix("."+name, "."+zone) {
			googleRefusal(w, http.StatusBadRequest, "invalid", "Invalid value for 'entity.change.additions[0].name': '"+s.Name+"'")
			return
		}
		if len(f.records[name]) > 0 && !gone[name] {
			googleRefusal(w, http.StatusConflict, "alreadyExists", "The resource 'entity.change.additions[0]' named '"+s.Name+" (TXT)' already exists")
			return
		}
	}
	for name := range gone {
		f.replaceAll(name, nil, 0)
	}
	for _, s := range in.Additions {
		f.replaceAll(strings.TrimSuffix(s.Name, "."), s.Rrdatas, s.TTL)
	}
	_, _ = io.WriteString(w, `{"id":"1","status":"pending"}`)
}
