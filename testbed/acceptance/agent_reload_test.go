package acceptance

import (
	"os"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestAgentAfterFailedReload: the agent runs a command when it has changed a file. Whether that succeeded is all the
// same to it afterwards, which is why the document has people look for it in the log.
func TestAgentAfterFailedReload(t *testing.T) {
	t.Parallel()
	const name = "www.example.com"
	s := newAgentSite(t, testbed.PebbleOptions{}, name)
	s.write(t, "role/web-servers", fields{"acme_account_name": "pebble", "allowed_domains": name})
	s.shell(t, shellBlocks(t, "vault-agent.md")[0])
	h := s.newHost(t)
	h.onReload(t, "nginx", "echo reloaded >> "+h.at("run/reloads")+"; exit 1")
	r := h.agent(t, "nginx.hcl")
	r.says(t, "failed to execute command", 1)
	r.says(t, "all templates rendered", 1) // by the runner that takes the place of the one that failed
	certificateIn(t, h.at("etc/tls/www.example.com.pem"))
	log, err := os.ReadFile(h.at("run/reloads"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "reloaded"); n != 1 {
		t.Errorf("nginx was told %d times: the document may say that the agent tries again", n)
	}
}
