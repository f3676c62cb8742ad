package acceptance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// visitor shakes hands with a TLS server again and again, as the users of a site do.
type visitor struct {
	address string
	config  *tls.Config

	mu       sync.Mutex
	visits   int
	failures []error
	seen     []string // serial numbers, in the order that they were first seen in
}

// visit shakes hands until ctx ends. Whether the certificate holds is verified each time, at the time it is then.
func (v *visitor) visit(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		serial, err := v.shake(ctx)
		if ctx.Err() != nil {
			return // it may be this that ended the handshake
		}
		v.note(serial, err)
		<-tick.C
	}
}

func (v *visitor) shake(ctx context.Context) (serial string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	connection, err := (&tls.Dialer{Config: v.config}).DialContext(ctx, "tcp", v.address)
	if err != nil {
		return "", err
	}
	leaf := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
	return leaf.SerialNumber.String(), connection.Close()
}

func (v *visitor) note(serial string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.visits++
	switch {
	case err != nil:
		v.failures = append(v.failures, err)
	case !slices.Contains(v.seen, serial):
		v.seen = append(v.seen, serial)
	}
}

// certificates are the serial numbers that the server has shown.
func (v *visitor) certificates() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.seen)
}

// TestAgentsKeepServersGoing: two nginx and an HAProxy share a certificate that is valid for a minute. Each has a
// Vault Agent with a configuration of the examples beside it. It is replaced in time everywhere, by one order for
// all three, and nobody who visits them meanwhile is turned away. The CA has the name proven for each order, through
// an nginx at port 80 that passes its requests on to Vault.
func TestAgentsKeepServersGoing(t *testing.T) {
	t.Parallel()
	const name = "www.example.com"
	s := newAgentSite(t, testbed.PebbleOptions{Profiles: map[string]time.Duration{"minute": time.Minute}})
	s.passOn(t)
	s.write(t, "role/web-servers", fields{"acme_account_name": "pebble", "allowed_domains": name, "http_01_relay": true})
	if blocks := shellBlocks(t, "vault-agent.md"); len(blocks) == 2 {
		s.shell(t, blocks[0])
	} else {
		t.Fatalf("the document has %d blocks of commands, want one for Vault and one for each machine", len(blocks))
	}

	ctx, leave := context.WithCancel(t.Context())
	var visits sync.WaitGroup
	defer visits.Wait()
	defer leave()
	var visitors []*visitor
	for _, address := range s.startServers(t) {
		v := &visitor{address: address, config: s.trusting(t, name)}
		visitors = append(visitors, v)
		visits.Go(func() { v.visit(ctx) })
	}

	err := testbed.Until(withPatience(t), func(context.Context) error { return replaced(visitors) })
	leave()
	visits.Wait()
	if err != nil {
		t.Error(err)
	}
	for _, v := range visitors {
		if len(v.failures) > 0 {
			t.Errorf("%s: %d of %d handshakes failed; the first: %v", v.address, len(v.failures), v.visits, v.failures[0])
		}
		t.Logf("%s: %d handshakes, certificates %v", v.address, v.visits, v.seen)
	}
	if n := s.certified(name); n != 2 {
		t.Errorf("the CA was asked for %d certificates, want 2", n)
	}
}

// passOn puts an nginx with the example of the relay where the CA looks for answers.
func (s agentSite) passOn(t *testing.T) {
	t.Helper()
	s.Web.Stop()
	address := testbed.Loopback(s.Pebble.HTTPPort)
	location := strings.ReplaceAll(readFile(t, "examples", "nginx", "acme-challenge.conf"), "http://127.0.0.1:8200", s.Vault.Addr)
	n, err := testbed.StartNginx(t.Context(), testbed.NginxOptions{
		Dir: t.TempDir(), Addr: address, Sites: "server {\nlisten " + address + ";\n" + location + "}\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
}

// startServers starts the agents, and each server when its agent has rendered what it needs.
func (s agentSite) startServers(t *testing.T) (addresses []string) {
	t.Helper()
	first, second, third := s.newHost(t), s.newHost(t), s.newHost(t)
	for h, service := range map[*host]string{first: "nginx", second: "nginx", third: "haproxy"} {
		h.onReload(t, service, "true") // it has not been started yet
	}
	agents := []*rendering{first.agent(t, "nginx.hcl"), second.agent(t, "files.hcl"), third.agent(t, "haproxy.hcl")}
	t.Cleanup(func() {
		for _, a := range agents {
			if log := a.log(t); strings.Contains(log, "needs renewal") {
				t.Errorf("an agent was given a certificate that it does not take:\n%s", log)
			}
		}
	})
	agents[0].rendered(t, "etc/tls/www.example.com.pem")
	for _, file := range []string{"fullchain", "chain", "privkey"} {
		agents[1].rendered(t, "etc/tls/www.example.com/"+file+".pem")
	}
	agents[2].rendered(t, "etc/haproxy/certs/www.example.com.pem")
	return []string{first.nginx(t, "https.conf"), second.nginx(t, "https-files.conf"), third.haproxy(t, "https.cfg")}
}

// trusting is a client's configuration that trusts the CA alone.
func (s site) trusting(t *testing.T, name string) *tls.Config {
	t.Helper()
	root, err := s.Pebble.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(root)) {
		t.Fatal("the root of the CA cannot be read")
	}
	return &tls.Config{RootCAs: roots, ServerName: name}
}

// withPatience is a context that ends when a test should give up.
func withPatience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// replaced tells whether all servers have shown the same two certificates.
func replaced(visitors []*visitor) error {
	want := visitors[0].certificates()
	if len(want) < 2 {
		return errors.New("the certificate has not been replaced yet")
	}
	for _, v := range visitors[1:] {
		if got := v.certificates(); !slices.Equal(got, want) {
			return fmt.Errorf("%s has shown the certificates %v, and %s %v", visitors[0].address, want, v.address, got)
		}
	}
	return nil
}
