package acceptance

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// relayed is what CAs ask for, below a host and below the mount.
const relayed = "/.well-known/acme-challenge/"

// relaySite is the shared Vault with a CA of its own, which finds whatever listens at its port.
type relaySite struct{ site }

func newRelaySite(t *testing.T) relaySite {
	t.Helper()
	s := relaySite{site{&testbed.Bed{Binaries: shared.Binaries, Dir: t.TempDir(), DNS: shared.DNS, Vault: shared.Vault}}}
	var err error
	s.Pebble, err = testbed.StartPebble(t.Context(), testbed.PebbleOptions{Binary: s.Binaries.Pebble, Dir: s.Dir, Resolver: s.DNS.Resolver})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Pebble.Stop)
	return s
}

// example gives a file of examples/ with the addresses of the test in it.
func (s relaySite) example(t *testing.T, name string, replace ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../examples", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	replace = append(replace, "127.0.0.1:8200", strings.TrimPrefix(s.Vault.Addr, "http://"))
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("examples/%s does not hold %q any more", name, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

// dir makes a folder for a server.
func (s relaySite) dir(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(s.Dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// webServer is an nginx that passes challenges on.
type webServer struct{ addr, log string }

func (s relaySite) nginx(t *testing.T, name string) webServer {
	t.Helper()
	port, err := testbed.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := s.dir(t, name)
	w := webServer{testbed.Loopback(port), filepath.Join(dir, "access.log")}
	n, err := testbed.StartNginx(t.Context(), testbed.NginxOptions{
		Dir: dir, Addr: w.addr,
		Sites: "server {\nlisten " + w.addr + "; access_log " + w.log + ";\n" + s.example(t, "nginx/acme-challenge.conf") + "}\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return w
}

func (s relaySite) haproxy(t *testing.T, name, addr, config string) {
	t.Helper()
	p, err := testbed.StartHAProxy(t.Context(), testbed.HAProxyOptions{Dir: s.dir(t, name), Addr: addr, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
}

// relayRole makes an account at the site's CA and a role that asks for the relay.
func (s relaySite) relayRole(t *testing.T) (role, domain string) {
	t.Helper()
	account := unique()
	s.write(t, "config/acme-account/"+account, fields{
		"directory_url": s.Pebble.DirectoryURL, "email_contacts": "admin@example.com", "trusted_ca": s.Pebble.TrustedCA,
	})
	return s.newRole(t, fields{"acme_account_name": account, "http_01_relay": true})
}

// proves orders names, and does nothing else.
func (s relaySite) proves(t *testing.T, role string, names ...string) {
	t.Helper()
	o := s.newOrder(t, role, fields{"identifiers": names})
	o.await(t, stateCompleted)
	s.verified(t, o.read(t, o.path()+"/fetch-cert"), names...)
}

// visit asks a server as a CA does.
func visit(t *testing.T, url string) (status int, kind, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(text)
}

// TestRelayBehindNginx: a load balancer in front of three web servers, any of which the CA may hit, and all of which
// pass the request on. Nobody reports anything.
func TestRelayBehindNginx(t *testing.T) {
	t.Parallel()
	s := newRelaySite(t)
	front := testbed.Loopback(s.Pebble.HTTPPort)
	balancer := "defaults\n  mode tcp\n  timeout connect 3s\n  timeout client 10s\n  timeout server 10s\nlisten site\n  bind " + front + "\n  balance roundrobin\n"
	var instances []webServer
	for i := range 3 {
		name := fmt.Sprint("nginx", i)
		n := s.nginx(t, name)
		balancer += "  server " + name + " " + n.addr + "\n"
		instances = append(instances, n)
	}
	s.haproxy(t, "balancer", front, balancer)
	role, domain := s.relayRole(t)
	names := []string{domain}
	for i := range 5 {
		names = append(names, fmt.Sprintf("www%d.%s", i, domain))
	}
	s.proves(t, role, names...)
	for _, n := range instances {
		log, err := os.ReadFile(n.log)
		if err != nil || !strings.Contains(string(log), "GET "+relayed) {
			t.Errorf("the CA never came to %s (error %v): %s", n.addr, err, log)
		}
	}
	s.checkUnknown(t, "http://"+instances[0].addr)
}

// TestRelayBehindHAProxy: HAProxy itself passes the path on, and sends all other visitors elsewhere.
func TestRelayBehindHAProxy(t *testing.T) {
	t.Parallel()
	s := newRelaySite(t)
	front := testbed.Loopback(s.Pebble.HTTPPort)
	s.haproxy(t, "haproxy", front, s.example(t, "haproxy/acme-challenge.cfg", "bind :80", "bind "+front))
	role, domain := s.relayRole(t)
	s.proves(t, role, domain, "www."+domain)
	s.checkUnknown(t, "http://"+front)
}

// checkUnknown checks what a web server, and Vault itself, say to a token that nobody has.
func (s relaySite) checkUnknown(t *testing.T, host string) {
	t.Helper()
	for _, url := range []string{host + relayed, s.Vault.Addr + "/v1/" + mount + relayed} {
		status, kind, body := visit(t, url+"a-token-that-nobody-has")
		if status != http.StatusNotFound || kind != "text/plain; charset=utf-8" || body != "no challenge with this token is waiting for an answer\n" {
			t.Errorf("%s answers %d %s %q", url, status, kind, body)
		}
	}
}

// TestRelayIsAllThatIsOpen: without a token of Vault there is nothing else, and with the quota that the document
// has there is not too much of this.
func TestRelayIsAllThatIsOpen(t *testing.T) {
	t.Parallel()
	api := shared.Vault.Addr + "/v1/" + mount
	for _, path := range []string{"/config", "/role/web", "/lookup/orders", relayed + "a/b", "/x" + relayed[2:] + "a"} {
		if status, _, body := visit(t, api+path); status != http.StatusForbidden {
			t.Errorf("%s answers %d %s without a token", path, status, body)
		}
	}
	if status, _, body := visit(t, api+relayed+"no.token"); status != http.StatusBadRequest {
		t.Errorf("what is no token is answered %d %s", status, body)
	}
	shared.vault(t, "write", "sys/quotas/rate-limit/http-01-relay-test", "path="+mount+relayed+"flood-*", "rate=1")
	var last int
	for i := 0; i < 20 && last != http.StatusTooManyRequests; i++ {
		last, _, _ = visit(t, api+relayed+"flood-"+fmt.Sprint(i))
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("twenty requests in a row are answered, though one a second is allowed: %d", last)
	}
}
