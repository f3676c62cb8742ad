package testbed

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestClusterKeepsWhatItWasTold changes the active node in both ways, and reads what was written before through
// every node.
func TestClusterKeepsWhatItWasTold(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, err := StartCluster(ctx, ClusterOptions{Binary: vaultBinary(t), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	leader, err := c.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, leader, "secrets", "enable", "-version=1", "kv")
	mustRun(t, leader, "write", "kv/x", "v=kept")
	for name, end := range map[string]func(context.Context) (*Vault, error){"step-down": c.StepDown, "kill": c.KillLeader} {
		former, err := end(ctx)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		leader, err := c.LeaderBut(ctx, former)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if standbys := c.Standbys(leader); len(standbys) != 2 || slices.Contains(standbys, leader) {
			t.Errorf("%s: %d nodes are standbys", name, len(standbys))
		}
		if name == "kill" {
			if err := former.Restart(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range c.Nodes {
			eventuallyKept(t, v)
		}
	}
}

// eventuallyKept reads through a node, which may not know yet who is active.
func eventuallyKept(t *testing.T, v *Vault) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), vaultLimit)
	defer cancel()
	err := Until(ctx, func(ctx context.Context) error {
		got, err := v.Run(ctx, "read", "-field=v", "kv/x")
		if err == nil && strings.TrimSpace(got) != "kept" {
			err = fmt.Errorf("read %q, wrote %q", got, "kept")
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", v.Addr, err)
	}
}
