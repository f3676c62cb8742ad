package acceptance

import (
	"context"
	"errors"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// upheavals are what happens to a cluster in the middle of its work. Each lets the CA's answers arrive: when nobody
// is there for them any more, or, where Vault lets requests run out first, when it has been told.
var upheavals = []struct {
	what   string
	happen func(*testing.T, clusterSite, *testbed.Vault) // to the active node
}{
	{"the active node is killed", func(t *testing.T, c clusterSite, _ *testbed.Vault) { c.failByKill(t) }},
	{"the active node steps down", func(t *testing.T, c clusterSite, leader *testbed.Vault) {
		_, err := c.cluster.StepDown(t.Context())
		c.gateway.Release()
		c.anotherLeads(t, leader, err)
	}},
	{"the active node is sealed and unsealed", func(t *testing.T, c clusterSite, leader *testbed.Vault) {
		sealed := begin(t, leader.Seal)
		c.gateway.Release()
		c.anotherLeads(t, leader, <-sealed)
		if err := leader.Unseal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}},
	{"the plugin is killed", func(t *testing.T, c clusterSite, leader *testbed.Vault) {
		if err := killAll(leader.PluginPIDs()); err != nil {
			t.Fatal(err)
		}
		c.gateway.Release()
	}},
	{"the plugin is reloaded", func(t *testing.T, c clusterSite, leader *testbed.Vault) {
		reloaded := begin(t, func(ctx context.Context) error {
			_, err := leader.Run(ctx, "plugin", "reload", "-type=secret", "-plugin="+testbed.CatalogName)
			return err
		})
		c.gateway.Release()
		if err := <-reloaded; err != nil {
			t.Fatal(err)
		}
	}},
}

// begin does something beside the test.
func begin(t *testing.T, do func(context.Context) error) <-chan error {
	t.Helper()
	done, ctx := make(chan error, 1), t.Context()
	go func() { done <- do(ctx) }()
	return done
}

// anotherLeads waits until another node is active, unless what should bring that about failed.
func (c clusterSite) anotherLeads(t *testing.T, former *testbed.Vault, err error) {
	t.Helper()
	if err == nil {
		_, err = c.cluster.LeaderBut(t.Context(), former)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// interruptions brings every upheaval about while there is work of every kind.
func (c clusterSite) interruptions(t *testing.T) {
	for _, u := range upheavals {
		t.Run(u.what, func(t *testing.T) {
			var begins []func(context.Context) error
			ends := map[string]func(*testing.T){}
			lost := make([]string, len(works))
			for i, w := range works {
				start, end := w.prepare(c, t)
				begins, ends[w.what], lost[i] = append(begins, start), end, w.lost
			}
			leader, err := c.cluster.Leader(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.gateway.Detain(lost...)
			for _, start := range begins {
				err = errors.Join(err, start(t.Context()))
			}
			if err != nil {
				t.Fatal(err)
			}
			c.awaitDetained(t, len(works))
			u.happen(t, c, leader)
			for what, end := range ends {
				t.Run(what, end)
			}
		})
	}
}
