package dnsprovider_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	webhookHost     = "hook.example.org"
	webhookPassword = "webhook-pass-4711"
	webhookPair     = "dmF1bHQ6d2ViaG9vay1wYXNzLTQ3MTE=" // vault:webhook-pass-4711
)

// fakeWebhook is a program of an operator, as the documentation asks for it.
type fakeWebhook struct {
	*cloud
	*txtZones
}

func serveWebhook(t *testing.T, zones ...string) *fakeWebhook {
	f := &fakeWebhook{txtZones: newZones(zones...)}
	f.cloud = serveCloud(t, map[string]http.HandlerFunc{webhookHost: f.serve})
	return f
}

func webhookLogin() map[string]any {
	return map[string]any{"endpoint": "https://" + webhookHost + "/dns/", "username": "vault", "password": webhookPassword}
}

func (f *fakeWebhook) serve(w http.ResponseWriter, r *http.Request) {
	f.Lock()
	defer f.Unlock()
	var in map[string]string
	err := json.NewDecoder(r.Body).Decode(&in)
	name, absolute := strings.CutSuffix(in["fqdn"], ".")
	switch {
	case r.Header.Get("Authorization") != "Basic "+webhookPair:
		http.Error(w, "who are you", http.StatusUnauthorized)
	case err != nil || len(in) != 2 || !absolute || in["value"] == "" || r.Method != http.MethodPost:
		http.Error(w, "what is that", http.StatusBadRequest)
	case !f.holds(name):
		http.Error(w, "not a zone of ours", http.StatusNotFound)
	case r.URL.Path == "/dns/present" && !slices.Contains(f.values(name), in["value"]):
		f.add(name, in["value"], 60)
	case r.URL.Path == "/dns/cleanup":
		f.replaceAll(name, slices.DeleteFunc(f.values(name), func(v string) bool { return v == in["value"] }), 60)
	}
}

func TestWebhookWithoutCredentials(t *testing.T) {
	t.Parallel()
	authorization := "unset"
	c := serveCloud(t, map[string]http.HandlerFunc{webhookHost: func(_ http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
	}})
	p := c.open(t, "webhook", map[string]any{"endpoint": "https://" + webhookHost})
	if err := p.Add(t.Context(), proof("_acme-challenge.example.com")); err != nil || authorization != "" {
		t.Errorf("%v, with %q", err, authorization)
	}
	if n := c.count("POST " + webhookHost + "/present"); n != 1 {
		t.Errorf("asked: %q", c.asked)
	}
}
