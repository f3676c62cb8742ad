package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestSystemdUnits has systemd read the units. It knows every directive, and says what it does not know. The programs
// that they start are not where they will be, so another takes their place.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var units []string
	for _, pattern := range []string{"*.service", "*.timer"} {
		found, err := filepath.Glob(filepath.Join(root, "examples", "systemd", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("there are no units %s (%v)", pattern, err)
		}
		for _, path := range found {
			name := filepath.Base(path)
			text := readFile(t, "examples", "systemd", name)
			text = strings.NewReplacer("ExecStart=/usr/bin/vault ", "ExecStart=/bin/true ", "ExecStart=/usr/local/sbin/pki-certificate ", "ExecStart=/bin/true ").Replace(text)
			writeFile(t, dir, name, text)
			units = append(units, filepath.Join(dir, name))
		}
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify (apt-get install -y --no-install-recommends systemd): %v\n%s", err, out)
	}
}

// TestCertificateByTimer runs what the timer runs, as often as there are cases for it.
func TestCertificateByTimer(t *testing.T) {
	t.Parallel()
	const name, other = "www.example.com", "api.example.com"
	s := newAgentSite(t, testbed.PebbleOptions{}, name, other)
	s.write(t, "role/web-servers", fields{
		"acme_account_name": "pebble", "allowed_domains": "example.com", "allowed_domain_options": "subdomains",
	})
	s.shell(t, shellBlocks(t, "vault-agent.md")[0])
	h := s.newHost(t)
	h.install(t, "systemd/pki-certificate", "bin/pki-certificate")
	bundle := "etc/tls/www.example.com.pem"
	counted := "echo reloaded >> " + h.at("run/reloads")

	h.onReload(t, "nginx", counted+"; exit 1")
	h.runTimer(t, name, bundle, false, 1) // the certificate is there, and nginx has not seen it
	first := certificateIn(t, h.at(bundle))
	h.onReload(t, "nginx", counted)
	h.runTimer(t, name, bundle, true, 2) // so it is told once more
	h.runTimer(t, name, bundle, true, 2) // nothing new
	if n := s.certified(name); n != 1 {
		t.Errorf("the CA was asked for %d certificates, want 1", n)
	}
	h.runTimer(t, "www.example.org", bundle, false, 2) // not allowed: what is there stays
	if certificateIn(t, h.at(bundle)) != first {
		t.Error("the certificate was replaced by nothing")
	}
	h.runTimer(t, other, bundle, true, 3) // as if it had been renewed
	if certificateIn(t, h.at(bundle)) == first {
		t.Error("the certificate was not replaced")
	}
	if left, err := filepath.Glob(h.at(bundle + ".??????")); err != nil || len(left) > 0 {
		t.Errorf("files are left behind: %v (%v)", left, err)
	}
}

// runTimer runs the script for names, and checks whether it succeeds and how often nginx has been reloaded since the
// beginning.
func (h *host) runTimer(t *testing.T, names, file string, succeeds bool, reloads int) {
	t.Helper()
	command := fmt.Sprintf("sh %s web-servers %s %s nginx.service", h.at("bin/pki-certificate"), names, h.at(file))
	if !succeeds {
		command = "! " + command
	}
	h.shell(t, command, "CREDENTIALS_DIRECTORY="+h.at("etc/vault-agent"), "PATH="+h.at("bin")+":"+h.commandPath(t))
	log, err := os.ReadFile(h.at("run/reloads"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "reloaded"); n != reloads {
		t.Errorf("nginx was reloaded %d times, want %d", n, reloads)
	}
}

// certificateIn is the serial number of the certificate in a file, whose key has to be there too.
func certificateIn(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair(t, string(text), string(text))
}
