package acceptance

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// agentSite is a site whose CA wants no proof of some names any more, and where everything that it is asked for is
// written down.
type agentSite struct {
	site
	gateway *testbed.Gateway
}

// newAgentSite starts one. Control of the names, all below example.com, is proven; without names the CA wants proof
// each time.
func newAgentSite(t *testing.T, o testbed.PebbleOptions, names ...string) agentSite {
	t.Helper()
	if len(names) > 0 {
		o.ReuseAuthorizations = 100
	}
	s := agentSite{site: newSite(t, o)}
	var err error
	if s.gateway, err = testbed.StartGateway(s.Pebble); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gateway.Stop)
	s.Pebble.DirectoryURL, s.Pebble.TrustedCA = s.gateway.DirectoryURL, s.gateway.TrustedCA
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.writePolicy(t)
	s.write(t, "role/prover", fields{
		"acme_account_name": "pebble", "allowed_domains": "example.com", "allowed_domain_options": "bare_domains,subdomains",
	})
	if len(names) > 0 {
		s.issue(t, "prover", names...)
	}
	return s
}

// writePolicy lets whoever has the policy "agent" use issue and cached of every role.
func (s agentSite) writePolicy(t *testing.T) {
	t.Helper()
	const policy = `
path "pki-external-ca/role/+/issue" { capabilities = ["create", "update", "read"] }
path "pki-external-ca/role/+/cached" { capabilities = ["read"] }
`
	writeFile(t, s.Vault.WorkDir, "agent.hcl", policy)
	s.vault(t, "policy", "write", "agent", "agent.hcl")
}

func writeFile(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certified is how many keys the CA has agreed to certify for a name, and for nothing else. It refuses one nonce in
// twenty, and is asked once more then.
func (s agentSite) certified(name string) int {
	n := 0
	for _, f := range s.gateway.Finalizations() {
		if f.Accepted && slices.Equal(f.Names, []string{name}) {
			n++
		}
	}
	return n
}

// rendering is a Vault Agent and the folder with the files that it writes.
type rendering struct {
	*testbed.Agent
	dir string
}

// render starts an agent with templates, each by the name of the file that it is rendered into. More settings of
// the agent go into its configuration as they are.
func (s agentSite) render(t *testing.T, templates map[string]string, more fields) *rendering {
	t.Helper()
	dir := t.TempDir()
	token := s.vault(t, "token", "create", "-field=token", "-policy=agent")
	config := fields{
		"vault": fields{"address": s.Vault.Addr},
		"auto_auth": fields{"method": []any{fields{
			"type": "token_file", "config": fields{"token_file_path": filepath.Join(dir, "token")},
		}}},
	}
	var list []any
	for name, text := range templates {
		list = append(list, fields{"contents": text, "destination": filepath.Join(dir, name)})
	}
	config["template"] = list
	for name, value := range more {
		config[name] = value
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"token": token, "agent.json": string(text)} {
		writeFile(t, dir, name, content)
	}
	agent, err := testbed.StartAgent(t.Context(), testbed.AgentOptions{
		Binary: s.Binaries.Vault, Config: filepath.Join(dir, "agent.json"), Dir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agent.Stop)
	return &rendering{agent, dir}
}

// await waits until a condition holds.
func (r *rendering) await(t *testing.T, condition func() error) {
	t.Helper()
	if err := r.Until(t.Context(), patience, func(context.Context) error { return condition() }); err != nil {
		t.Fatal(err)
	}
}

// rendered waits for a file, and reads it.
func (r *rendering) rendered(t *testing.T, name string) (text string) {
	t.Helper()
	r.await(t, func() error {
		content, err := os.ReadFile(filepath.Join(r.dir, name))
		text = string(content)
		return err
	})
	return text
}

// says waits until the agent's log has a text so many times.
func (r *rendering) says(t *testing.T, text string, times int) {
	t.Helper()
	r.await(t, func() error {
		if n := strings.Count(r.log(t), text); n < times {
			return fmt.Errorf("the log says %q %d times, not %d", text, n, times)
		}
		return nil
	})
}

func (r *rendering) log(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(r.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

// absent tells of a file that should not be there.
func (r *rendering) absent(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(r.dir, name)); err == nil {
		t.Errorf("%s was rendered", name)
	}
}

// certificates parses every certificate in a text.
func certificates(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
}
