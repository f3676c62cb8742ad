package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// site is a Vault with the plugin, a CA, and what lies between.
type site struct{ *testbed.Bed }

// mount is where the plugin is enabled.
const mount = testbed.CatalogName

// newSite starts a Vault and a CA for one test that breaks them or wants another CA. The binary, the folder
// and the resolver of the options are filled in.
func newSite(t *testing.T, o testbed.PebbleOptions) site {
	t.Helper()
	ctx := t.Context()
	s := site{&testbed.Bed{Binaries: shared.Binaries, Dir: t.TempDir(), DNS: shared.DNS}}
	o.Binary, o.Dir, o.Resolver = s.Binaries.Pebble, s.Dir, s.DNS.Resolver
	var err error
	if s.Pebble, err = testbed.StartPebble(ctx, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Pebble.Stop)
	if s.Web, err = testbed.StartWebServer(ctx, s.Pebble.HTTPPort, filepath.Join(s.Dir, "www")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Web.Stop)
	s.Vault, err = testbed.StartVault(ctx, testbed.VaultOptions{Binary: s.Binaries.Vault, Dir: s.Dir, LogLevel: "trace"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Vault.Stop()
		if reportRaces(s) != 0 {
			t.Error("the plugin has data races")
		}
	})
	return s
}

// prepare enables the plugin and makes the account "pebble".
func (s site) prepare(ctx context.Context) error {
	if err := s.Vault.EnablePlugin(ctx, s.Binaries.Plugin); err != nil {
		return err
	}
	if err := os.WriteFile(s.file("pebble-ca.pem"), []byte(s.Pebble.TrustedCA), 0o600); err != nil {
		return err
	}
	_, err := s.Vault.Run(ctx, "write", mount+"/config/acme-account/pebble", "directory_url="+s.Pebble.DirectoryURL,
		"email_contacts=admin@example.com", "trusted_ca=@pebble-ca.pem")
	return err
}

// file is a path in the working directory of the vault command line.
func (s site) file(name string) string { return filepath.Join(s.Vault.WorkDir, name) }

// client keeps no connections, because a server that was restarted would reset them.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// fields is a JSON object, as sent and as answered.
type fields map[string]any

// answer is what Vault said to a request.
type answer struct {
	Status   int
	Data     fields   `json:"data"`
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
	Body     string   `json:"-"`
}

// send makes an HTTP request with a token. The path is below the mount; the body may be nil.
func (s site) send(ctx context.Context, token, method, path string, body any) (answer, error) {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return answer{}, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, s.Vault.Addr+"/v1/"+mount+"/"+path, &content)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("X-Vault-Token", token)
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: response.StatusCode, Body: string(text)}
	if len(text) > 0 {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

// call is send with the root token, for tests.
func (s site) call(t *testing.T, method, path string, body any) answer {
	t.Helper()
	return s.callAs(t, s.Vault.Token, method, path, body)
}

func (s site) callAs(t *testing.T, token, method, path string, body any) answer {
	t.Helper()
	a, err := s.send(t.Context(), token, method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// must is call for requests that have to succeed.
func (s site) must(t *testing.T, method, path string, body any) fields {
	t.Helper()
	a := s.call(t, method, path, body)
	if a.Status != http.StatusOK && a.Status != http.StatusNoContent {
		t.Fatalf("%s %s: %d: %s", method, path, a.Status, a.Body)
	}
	return a.Data
}

func (s site) read(t *testing.T, path string) fields {
	t.Helper()
	return s.must(t, http.MethodGet, path, nil)
}

func (s site) write(t *testing.T, path string, body fields) fields {
	t.Helper()
	return s.must(t, http.MethodPost, path, body)
}

// expect checks the status of an answer and that its errors hold each of the words.
func (a answer) expect(t *testing.T, status int, words ...string) {
	t.Helper()
	if a.Status != status {
		t.Errorf("status %d, want %d: %s", a.Status, status, a.Body)
		return
	}
	said := strings.ToLower(strings.Join(a.Errors, "\n"))
	for _, word := range words {
		if !strings.Contains(said, strings.ToLower(word)) {
			t.Errorf("the message lacks %q: %s", word, said)
		}
	}
}

// vault runs the command line and fails the test if it does.
func (s site) vault(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.Vault.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// text is a field that has to be a string.
func (f fields) text(t *testing.T, name string) string {
	t.Helper()
	s, ok := f[name].(string)
	if !ok {
		t.Fatalf("%s is %T (%v), not a string", name, f[name], f[name])
	}
	return s
}

// texts is a field that has to be a list of strings.
func (f fields) texts(t *testing.T, name string) []string {
	t.Helper()
	list, ok := f[name].([]any)
	if !ok {
		t.Fatalf("%s is %T (%v), not a list", name, f[name], f[name])
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = fmt.Sprint(item)
	}
	return texts
}

// object is a field that has to be an object.
func (f fields) object(t *testing.T, name string) fields {
	t.Helper()
	m, ok := f[name].(map[string]any)
	if !ok {
		t.Fatalf("%s is %T (%v), not an object", name, f[name], f[name])
	}
	return m
}
