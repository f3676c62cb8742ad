package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// host is a machine on which the examples are installed as they are: all that they name lies below a folder of its
// own, and what they would connect to is where this site has it.
type host struct {
	agentSite
	root string
}

// newHost makes one, with what the document has it log in with.
func (s agentSite) newHost(t *testing.T) *host {
	t.Helper()
	h := &host{s, t.TempDir()}
	for _, dir := range []string{"bin", "run", "etc/vault-agent", "etc/tls/www.example.com", "etc/haproxy/certs"} {
		if err := os.MkdirAll(h.at(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.shell(t, h.translate(shellBlocks(t, "vault-agent.md")[1]))
	return h
}

func (h *host) at(path string) string { return filepath.Join(h.root, path) }

// example reads one of the examples. More is what else is to be replaced, old and new in turn; all of that has to
// be there.
func (h *host) example(t *testing.T, name string, more ...string) string {
	t.Helper()
	text := readFile(t, "examples", name)
	for i := 0; i < len(more); i += 2 {
		if !strings.Contains(text, more[i]) {
			t.Fatalf("examples/%s lacks %q", name, more[i])
		}
	}
	return h.translate(text, more...)
}

// translate makes places on this machine of those that a text names.
func (h *host) translate(text string, more ...string) string {
	replace := append([]string{"https://vault.example.com:8200", h.Vault.Addr, "/etc/", h.at("etc") + "/", "/run/", h.at("run") + "/"}, more...)
	return strings.NewReplacer(replace...).Replace(text)
}

// install copies an example to where it belongs.
func (h *host) install(t *testing.T, name, to string, more ...string) {
	t.Helper()
	writeFile(t, h.root, to, h.example(t, name, more...))
}

// onReload makes the command that stands in for systemctl, which there is none of without systemd: what a service
// does when it is reloaded.
func (h *host) onReload(t *testing.T, service, command string) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\nset -e\n[ \"$*\" = 'reload-or-restart %s.service' ]\n%s\n", service, command)
	writeFile(t, h.at("bin"), "systemctl.new", script)
	if err := os.Chmod(h.at("bin/systemctl.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(h.at("bin/systemctl.new"), h.at("bin/systemctl")); err != nil {
		t.Fatal(err)
	}
}

// agent starts a Vault Agent with a configuration of the examples.
func (h *host) agent(t *testing.T, config string) *rendering {
	t.Helper()
	for _, name := range []string{config, "bundle.ctmpl", "fullchain.ctmpl", "chain.ctmpl", "privkey.ctmpl"} {
		h.install(t, "agent/"+name, "etc/vault-agent/"+name)
	}
	agent, err := testbed.StartAgent(t.Context(), testbed.AgentOptions{
		Binary: h.Binaries.Vault, Config: h.at("etc/vault-agent/" + config), Dir: h.at("run"),
		Env: []string{"PATH=" + h.at("bin") + ":/usr/bin:/bin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agent.Stop)
	return &rendering{agent, h.root}
}

// freeAddresses are addresses of 127.0.0.1 to listen at.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	ports, err := testbed.FreePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, n)
	for i, port := range ports {
		out[i] = testbed.Loopback(port)
	}
	return out
}

// nginx starts one with a site of the examples, and returns where it listens.
func (h *host) nginx(t *testing.T, site string) string {
	t.Helper()
	address := freeAddresses(t, 2)
	sites := h.example(t, "nginx/"+site, "listen 443", "listen "+address[0], "listen [::]:443", "listen "+address[1])
	n, err := testbed.StartNginx(t.Context(), testbed.NginxOptions{Dir: h.at("run"), Sites: sites, Addr: address[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	h.onReload(t, "nginx", n.ReloadCommand())
	return n.Addr
}

// haproxy starts one with a configuration of the examples, and returns where it listens.
func (h *host) haproxy(t *testing.T, config string) string {
	t.Helper()
	address := freeAddresses(t, 1)[0]
	text := h.example(t, "haproxy/"+config, "bind :443", "bind "+address)
	p, err := testbed.StartHAProxy(t.Context(), testbed.HAProxyOptions{Dir: h.at("run"), Config: text, Addr: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	h.onReload(t, "haproxy", p.ReloadCommand())
	return p.Addr
}
