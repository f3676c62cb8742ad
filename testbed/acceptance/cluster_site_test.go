package acceptance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// clusterSite is a site whose Vault is a cluster and whose CA is asked through a gateway. Names of bindZone are
// proven by Vault itself.
type clusterSite struct {
	site    // through the first node
	cluster *testbed.Cluster
	gateway *testbed.Gateway
	bind    *testbed.BIND
	// resolver is what the mount asks; the CA has one of its own (see nameServers).
	resolver *testbed.Resolver
}

// newClusterSite starts everything but the plugin; see enable.
func newClusterSite(t *testing.T) clusterSite {
	t.Helper()
	c := clusterSite{site: site{&testbed.Bed{Binaries: shared.Binaries, Dir: t.TempDir(), DNS: shared.DNS}}}
	c.bind = startBIND(t, testbed.BINDOptions{Zones: []string{bindZone}, Public: publicAddresses(t, 1)[0]})
	forward := map[string]string{bindZone: c.bind.Addr}
	c.Resolver, c.resolver = startResolver(t, forward), startResolver(t, forward)
	var err error
	if c.Pebble, err = testbed.StartPebble(t.Context(), testbed.PebbleOptions{
		Binary: c.Binaries.Pebble, Dir: c.Dir, Resolver: c.Resolver.Addr,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Pebble.Stop)
	if c.Web, err = testbed.StartWebServer(t.Context(), c.Pebble.HTTPPort, filepath.Join(c.Dir, "www")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Web.Stop)
	if c.gateway, err = testbed.StartGateway(c.Pebble); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.gateway.Stop)
	if c.cluster, err = testbed.StartCluster(t.Context(), testbed.ClusterOptions{Binary: c.Binaries.Vault, Dir: c.Dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stopCluster(t) })
	c.Vault = c.cluster.Nodes[0]
	return c
}

func (c clusterSite) stopCluster(t *testing.T) {
	c.cluster.Stop()
	for _, node := range c.cluster.Nodes {
		if reportRaces(c.through(node)) != 0 {
			t.Error("the plugin has data races")
		}
	}
}

// enable enables the plugin, and makes the account "pebble", a DNS provider for bindZone and two roles: "manual"
// for names that somebody else has to prove, "automatic" for those of bindZone.
func (c clusterSite) enable(t *testing.T) {
	t.Helper()
	if err := c.cluster.EnablePlugin(t.Context(), c.Binaries.Plugin); err != nil {
		t.Fatal(err)
	}
	provider := signedBy(c.bind, c.bind.Keys["hmac-sha256"])
	provider["identifiers"] = "*." + bindZone
	role := func(domain string) fields {
		return fields{"acme_account_name": "pebble", "allowed_domains": domain, "allowed_domain_options": "subdomains"}
	}
	for _, w := range []struct {
		path string
		body fields
	}{
		{"config/acme-account/pebble", c.account()},
		{"config", fields{"nameservers": c.resolver.Addr, "propagation_interval": "1s", "propagation_timeout": "60s"}},
		{"config/dns/rfc2136/bind", provider},
		{"role/manual", role("example.com")},
		{"role/automatic", role(bindZone)},
	} {
		c.insistOn(t, http.MethodPost, w.path, w.body)
	}
}

// account is the body that makes an account.
func (c clusterSite) account() fields {
	return fields{"directory_url": c.gateway.DirectoryURL, "trusted_ca": c.gateway.TrustedCA, "email_contacts": "admin@example.com"}
}

// through is the site as the clients of one node see it.
func (c clusterSite) through(v *testbed.Vault) site {
	bed := *c.Bed
	bed.Vault = v
	return site{&bed}
}

// attempt is how long one node may take for an answer before another one is asked.
const attempt = 15 * time.Second

// insist makes a request through any node, and again through others until one has an answer to it: what a client
// behind a load balancer does. The request may have been done more than once.
func (c clusterSite) insist(ctx context.Context, method, path string, body any) (answer, error) {
	return c.insistEvery(ctx, 100*time.Millisecond, method, path, body)
}

func (c clusterSite) insistEvery(ctx context.Context, pause time.Duration, method, path string, body any) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nodes := c.cluster.Nodes
	next := rand.IntN(len(nodes)) //nolint:gosec // a choice, not a secret
	err = testbed.UntilEvery(ctx, pause, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, attempt)
		defer cancel()
		next++
		a, err = c.through(nodes[next%len(nodes)]).send(ctx, c.Vault.Token, method, path, body)
		if err == nil && a.Status >= http.StatusInternalServerError {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s %s: %w", method, path, err)
	}
	return a, err
}

// insistOn is insist for requests that have to succeed.
func (c clusterSite) insistOn(t *testing.T, method, path string, body any) fields {
	t.Helper()
	a, err := c.insist(t.Context(), method, path, body)
	if err == nil {
		err = a.failure(http.StatusOK, http.StatusNoContent)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a.Data
}

// failure is an answer with another status than those wanted, as an error.
func (a answer) failure(want ...int) error {
	for _, status := range want {
		if a.Status == status {
			return nil
		}
	}
	return fmt.Errorf("status %d: %s", a.Status, a.Body)
}

// standbysRest watches until stop that no node has a plugin process while it is a standby. A plugin that does not
// run asks no CA.
func (c clusterSite) standbysRest(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	for i, node := range c.cluster.Nodes {
		watching.Go(func() {
			_ = testbed.Until(ctx, func(ctx context.Context) error {
				if !node.Standby(ctx) {
					return errors.New("it may work")
				}
				if pids := node.PluginPIDs(); len(pids) > 0 && node.Standby(ctx) {
					t.Errorf("node %d is a standby and has the plugin processes %v", i+1, pids)
				}
				return errors.New("go on watching")
			})
		})
	}
	return func() { cancel(); watching.Wait() }
}
