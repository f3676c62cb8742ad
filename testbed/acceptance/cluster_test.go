package acceptance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// drain is how long Vault lets requests run out before it gives up its leadership.
const drain = 90 * time.Second

// TestCluster changes the active node of a cluster in the middle of work, in every way.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := newClusterSite(t)
	t.Logf("without the plugin, another node is active %s after a kill, %s after a step-down", c.failByKill(t), c.stepDown(t))
	c.enable(t)
	stop := c.standbysRest(t)
	defer stop()
	t.Run("100 orders and five failovers", c.failovers)
	t.Run("500 wishes for one certificate and a failover", c.crowd)
	t.Run("every kind of work and every interruption", c.interruptions)
	c.everyOrderOnce(t)
}

// stepDown makes the active node a standby and returns how long there was no other.
func (c clusterSite) stepDown(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	former, err := c.cluster.StepDown(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.cluster.LeaderBut(t.Context(), former); err != nil {
		t.Fatal(err)
	}
	return time.Since(began).Round(time.Millisecond)
}

// active is how many orders are alive when a node fails; begun is how many of them are at work, half of them
// automatic, and the rest wait for reports.
const (
	active = 100
	begun  = 40
)

// failovers changes the active node while orders are at work, each time while the CA's answers to other requests
// do not arrive. What was asked has been done then, and nobody here knows.
func (c clusterSite) failovers(t *testing.T) {
	var waiting []*journey
	for _, round := range []struct {
		change func(clusterSite, *testing.T) time.Duration
		what   string
		lost   string // the answers that do not arrive
	}{
		{clusterSite.failByKill, "kill", testbed.PathFinalize},
		{clusterSite.failByStepDown, "step-down", testbed.PathNewOrder},
		{clusterSite.failByKill, "kill", testbed.PathChallenge},
		{clusterSite.failByStepDown, "step-down with a CA that does not answer at all", testbed.PathAnything},
		{clusterSite.failByKill, "kill", testbed.PathCertificate},
	} {
		more := many(active-begun/2-len(waiting), c.manual)
		must(t, more, (*journey).begin)
		waiting = append(waiting, more...)
		at := append(many(begun/2, c.automatic), waiting[:begun/2]...)
		waiting = waiting[begun/2:]

		c.gateway.Detain(round.lost)
		started := make(chan error, 1)
		go func() { started <- together(t.Context(), at, (*journey).start) }()
		c.awaitDetained(t, begun/4)
		took := round.change(c, t)
		t.Logf("%s, answers to %s lost: another node is active after %s", round.what, round.lost, took)
		if took > drain {
			t.Errorf("%s took %s, longer than Vault waits for requests", round.what, took)
		}
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		must(t, at, (*journey).finish)
		for _, j := range at {
			c.checkKeyed(t, j.cert, j.name)
		}
	}
	must(t, waiting, (*journey).report)
	must(t, waiting, (*journey).finish)
	noProofs(t, c.bind.Addr, bindZone, bindZone)
}

// awaitDetained waits until so many answers of the CA are kept back.
func (c clusterSite) awaitDetained(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := testbed.Until(ctx, func(context.Context) error {
		if kept := c.gateway.Detained(); kept < n {
			return fmt.Errorf("%d answers of the CA are kept back, want %d", kept, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// failByStepDown has another node take over, and then the answers arrive.
func (c clusterSite) failByStepDown(t *testing.T) time.Duration {
	defer c.gateway.Release()
	return c.stepDown(t)
}

// failByKill kills the active node. The answers arrive when its plugin is gone, too, which ends by itself. The
// node comes back.
func (c clusterSite) failByKill(t *testing.T) time.Duration {
	defer c.gateway.Release()
	ctx := t.Context()
	leader, err := c.cluster.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	orphans := leader.PluginPIDs()
	began := time.Now()
	if _, err := c.cluster.KillLeader(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.cluster.LeaderBut(ctx, leader); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began).Round(time.Millisecond)
	if err := errors.Join(awaitGone(ctx, orphans), leader.Restart(ctx)); err != nil {
		t.Fatal(err)
	}
	return took
}

// everyOrderOnce demands that every order that ever was finalized was finalized with one key, and that the CA has
// made as many certificates as there are orders that have one.
func (c clusterSite) everyOrderOnce(t *testing.T) {
	t.Helper()
	keys, accepted := map[string]string{}, 0
	for _, f := range c.gateway.Finalizations() {
		if key, seen := keys[f.Order]; seen && key != f.Key {
			t.Errorf("the order for %q was finalized with two keys", f.Names)
		}
		keys[f.Order] = f.Key
		if f.Accepted {
			accepted++
		}
	}
	states := map[string]int{}
	listed := c.insistOn(t, "LIST", "lookup/orders/recent", nil)
	for _, info := range listed.object(t, "key_info") {
		states[fields(info.(map[string]any)).text(t, "order_status")]++
	}
	t.Logf("orders by state: %v; the CA accepted %d requests to finalize", states, accepted)
	issued := c.certificatesIssued(t)
	if had := states[stateCompleted] + states[stateRevoked]; issued != had || accepted != had {
		t.Errorf("the CA accepted %d requests to finalize and issued %d certificates for %d orders", accepted, issued, had)
	}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		if !slices.Contains([]string{stateCompleted, stateRevoked, stateAwaiting}, state) {
			t.Errorf("%d orders are %s", states[state], state)
		}
	}
}
