package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// newProvenSite is a site whose CA has seen control of names proven, and wants no proof of them again.
func newProvenSite(t *testing.T, names ...string) site {
	t.Helper()
	s := newSite(t, testbed.PebbleOptions{ReuseAuthorizations: 100})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.write(t, "role/prover", fields{
		"acme_account_name": "pebble", "allowed_domains": "example.com", "allowed_domain_options": "bare_domains,subdomains",
	})
	s.issue(t, "prover", names...)
	return s
}

// TestIssueAtOnce: five hundred callers on several connections ask for one certificate until they have it.
func TestIssueAtOnce(t *testing.T) {
	t.Parallel()
	s := newProvenSite(t, "www.example.com")
	s.write(t, "role/web", fields{"acme_account_name": "pebble", "allowed_domains": "www.example.com"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	var running sync.WaitGroup
	seen := map[string]int{}
	for range 5 {
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 40}}
		t.Cleanup(client.CloseIdleConnections)
		for range 100 {
			running.Go(func() {
				err := testbed.Until(ctx, func(ctx context.Context) error {
					serial, err := s.issueBy(ctx, client, "www.example.com")
					if err == nil {
						mu.Lock()
						defer mu.Unlock()
						seen[serial]++
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	running.Wait()
	if len(seen) != 1 {
		t.Errorf("the callers have %d certificates: %v", len(seen), seen)
	}
	if ids := s.must(t, "LIST", "lookup/orders", nil).texts(t, "keys"); len(ids) != 2 { // the prover's, and this one
		t.Errorf("there are %d orders", len(ids))
	}
}

// issueBy asks once, with a client of the caller's. The error is for what is to be tried again.
func (s site) issueBy(ctx context.Context, client *http.Client, name string) (serial string, err error) {
	body := bytes.NewBufferString(`{"identifiers": "` + name + `"}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, s.Vault.Addr+"/v1/"+mount+"/role/web/issue", body)
	if err != nil {
		return "", err
	}
	request.Header.Set("X-Vault-Token", s.Vault.Token)
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %q", response.StatusCode, a.Errors)
	}
	serial, _ = a.Data["serial_number"].(string)
	return serial, nil
}

// TestIssueSaysWhoseTurnItIs: statuses and texts get through Vault as they are.
func TestIssueSaysWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	path, wish := "role/"+role+"/issue", fields{"identifiers": domain, "wait": 30}
	shared.call(t, "GET", path+"?identifiers="+domain, nil).expect(t, 405, "vault write")
	shared.call(t, "POST", path, fields{"identifiers": "www.example.org"}).expect(t, 400, "www.example.org")
	shared.call(t, "POST", path, fields{"identifiers": domain, "wait": 0}).expect(t, 503, "not ready", "order_status=new", "retry_after=")
	shared.call(t, "POST", path, wish).expect(t, 409, domain+" (http-01 or ", "fulfilled-challenge", "order_id=")

	o := order{shared, role, shared.write(t, "role/"+role+"/new-order", wish).text(t, "order_id")}
	cert := o.complete(t)
	again := shared.write(t, path, wish)
	if again["cached"] != true || again.text(t, "order_id") != o.id || again.text(t, "serial_number") != cert.text(t, "serial_number") {
		t.Errorf("issue answers %v, want the certificate of order %s", again, o.id)
	}
	shared.verified(t, again, domain)
}

var (
	shellBlock    = regexp.MustCompile("(?s)```sh\n(.*?)```")
	templateBlock = regexp.MustCompile("(?s)```\n(\\{\\{ with pkiCert.*?)```")
	policyBlock   = regexp.MustCompile("(?s)```hcl\n(.*?)```")
)

// TestManyInstancesDocument does what the document says: its commands, and its template with its policy in a
// Vault Agent as it is.
func TestManyInstancesDocument(t *testing.T) {
	t.Parallel()
	text := readFile(t, "docs", "load-balanced.md")
	s := newProvenSite(t, "www.example.com", "api.example.com")
	s.write(t, "role/web-servers", fields{"acme_account_name": "pebble", "allowed_domains": "www.example.com,api.example.com"})
	commands := 0
	for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			s.vault(t, strings.Fields(strings.TrimPrefix(line, "vault "))...)
			commands++
		}
	}
	if commands == 0 {
		t.Error("the document holds no commands")
	}
	template, policy := templateBlock.FindStringSubmatch(text), policyBlock.FindStringSubmatch(text)
	if template == nil || policy == nil {
		t.Fatal("the document holds no template, or no policy")
	}
	rendered := s.agent(t, policy[1], template[1])
	cert := s.write(t, "role/web-servers/issue", fields{"identifiers": "www.example.com,api.example.com"})
	for _, name := range []string{"certificate", "private_key", "issuing_ca"} {
		if !strings.Contains(rendered, strings.TrimSpace(cert.text(t, name))) {
			t.Errorf("what the agent has written lacks %s:\n%s", name, rendered)
		}
	}
}

// agent runs a Vault Agent with a policy until it has rendered a template.
func (s site) agent(t *testing.T, policy, template string) string {
	t.Helper()
	config := map[string]any{
		"exit_after_auth": true,
		"auto_auth": map[string]any{"method": []any{map[string]any{
			"type": "token_file", "config": map[string]any{"token_file_path": s.file("agent-token")},
		}}},
		"template": []any{map[string]any{"contents": template, "destination": s.file("rendered.pem")}},
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(s.file("agent.json"), text, 0o600), os.WriteFile(s.file("agent.hcl"), []byte(policy), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	s.vault(t, "policy", "write", "agent", "agent.hcl")
	token := s.vault(t, "token", "create", "-field=token", "-policy=agent")
	if err := os.WriteFile(s.file("agent-token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	s.vault(t, "agent", "-config=agent.json")
	rendered, err := os.ReadFile(s.file("rendered.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return string(rendered)
}
