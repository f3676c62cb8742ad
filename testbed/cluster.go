package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/vault/api"
)

// ClusterOptions says what cluster to start.
type ClusterOptions struct {
	Binary   string // the vault binary; see Build
	Dir      string // folder for everything the nodes write; it must exist
	Nodes    int    // how many; three if zero, which can do without any one of them
	LogLevel string // "info" if empty
}

// Cluster is several Vault servers on this machine that share integrated storage. One of them is active, the
// others are standbys that send it what they are asked. They have one unseal key and one root token.
type Cluster struct {
	Nodes []*Vault
}

// hasty are the settings of a node that notices within a second or two that the active node is gone, and that
// takes a new node for a voter as soon. Vault's own are for networks that may be slow.
var hasty = map[string]string{
	"performance_multiplier": "1", "autopilot_reconcile_interval": "1s", "autopilot_update_interval": "500ms",
}

// glance is how long a node may take to say whether it is active.
const glance = 2 * time.Second

// StartCluster starts servers, joins them and unseals them. It returns when all of them have a vote, so that
// any one may be lost.
func StartCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	c := &Cluster{}
	if err := c.start(ctx, o); err != nil {
		c.Stop()
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o ClusterOptions) error {
	for i := range orDefault(o.Nodes, 3) {
		id := fmt.Sprintf("node%d", i+1)
		dir := filepath.Join(o.Dir, id)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		options := VaultOptions{Binary: o.Binary, Dir: dir, NodeID: id, LogLevel: o.LogLevel, member: true}
		add := c.join
		if i == 0 {
			add = c.found
		}
		if err := add(ctx, options); err != nil {
			return err
		}
	}
	return c.awaitVoters(ctx)
}

// found starts the first node, and has it trust others soon.
func (c *Cluster) found(ctx context.Context, o VaultOptions) error {
	v, err := StartVault(ctx, o)
	if err != nil {
		return err
	}
	c.Nodes = append(c.Nodes, v)
	if _, err := c.Leader(ctx); err != nil {
		return err
	}
	soon := map[string]any{"server_stabilization_time": "1s"}
	_, err = v.Client().Logical().WriteWithContext(ctx, "sys/storage/raft/autopilot/configuration", soon)
	return err
}

// join starts a node and makes it one of the first node's cluster.
func (c *Cluster) join(ctx context.Context, o VaultOptions) error {
	v, err := newVault(o)
	if err != nil {
		return err
	}
	v.life = ctx
	if err := v.launch(ctx); err != nil {
		return err
	}
	first := c.Nodes[0]
	c.Nodes = append(c.Nodes, v)
	if _, err := v.client("").Sys().RaftJoinWithContext(ctx, &api.RaftJoinRequest{LeaderAPIAddr: first.Addr}); err != nil {
		return fmt.Errorf("join %s: %w", o.NodeID, err)
	}
	v.Token, v.UnsealKey = first.Token, first.UnsealKey
	return v.Unseal(ctx)
}

// awaitVoters waits until every node has a vote.
func (c *Cluster) awaitVoters(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, vaultLimit)
	defer cancel()
	return Until(ctx, func(ctx context.Context) error {
		state, err := c.Nodes[0].Client().Sys().RaftAutopilotStateWithContext(ctx)
		switch {
		case err != nil:
			return err
		case state == nil || len(state.Voters) < len(c.Nodes):
			return errors.New("not every node has a vote yet")
		}
		return nil
	})
}

// EnablePlugin installs the plugin on every node, registers it and enables it at its default path.
func (c *Cluster) EnablePlugin(ctx context.Context, binary string) error {
	for _, v := range c.Nodes {
		if _, err := v.InstallPlugin(binary); err != nil {
			return fmt.Errorf("install the plugin: %w", err)
		}
	}
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	return leader.EnablePlugin(ctx, binary)
}

// Leader waits until a node is active and returns it.
func (c *Cluster) Leader(ctx context.Context) (*Vault, error) { return c.LeaderBut(ctx, nil) }

// LeaderBut is Leader for when another than the given node is to become active.
func (c *Cluster) LeaderBut(ctx context.Context, former *Vault) (leader *Vault, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, vaultLimit, errors.New("the cluster has no new leader"))
	defer cancel()
	err = Until(ctx, func(ctx context.Context) error {
		i := slices.IndexFunc(c.Nodes, func(v *Vault) bool { return v != former && v.active(ctx) })
		if i < 0 {
			return errors.New("no node is active")
		}
		leader = c.Nodes[i]
		return nil
	})
	return leader, err
}

// active tells whether the server works, and not another one for it. Who does not answer does not work.
func (v *Vault) active(ctx context.Context) bool {
	health := v.health(ctx)
	return health != nil && !health.Standby
}

// Standby tells whether the server says that another one works.
func (v *Vault) Standby(ctx context.Context) bool {
	health := v.health(ctx)
	return health != nil && health.Standby
}

// health is what the server says of itself; nil if it cannot be asked or is sealed.
func (v *Vault) health(ctx context.Context) *api.HealthResponse {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	health, err := v.client("").Sys().HealthWithContext(ctx)
	if err != nil || !health.Initialized || health.Sealed {
		return nil
	}
	return health
}

// Standbys are all nodes but the given one, which was found to be active.
func (c *Cluster) Standbys(leader *Vault) []*Vault {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(v *Vault) bool { return v == leader })
}

// StepDown tells the active node to become a standby, and returns it; see [Cluster.LeaderBut] for what follows.
// The node does not become active again for ten seconds.
func (c *Cluster) StepDown(ctx context.Context) (former *Vault, err error) {
	former, err = c.Leader(ctx)
	if err != nil {
		return nil, err
	}
	if err := former.Client().Sys().StepDownWithContext(ctx); err != nil {
		return nil, fmt.Errorf("step down: %w", err)
	}
	return former, nil
}

// KillLeader ends the active node as a power cut would, and returns it. Its plugin is left an orphan. The node
// comes back with [Vault.Restart].
func (c *Cluster) KillLeader(ctx context.Context) (former *Vault, err error) {
	former, err = c.Leader(ctx)
	if err != nil {
		return nil, err
	}
	return former, former.Kill()
}

// Stop ends every node and its plugins, the standbys first: nobody is to take over.
func (c *Cluster) Stop() {
	for _, v := range slices.Backward(c.Nodes) {
		if v.process != nil {
			v.Stop()
		}
	}
}
