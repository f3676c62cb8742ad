package testbed

import (
	"context"
	"path/filepath"
	"time"
)

// AgentOptions says what Vault Agent to start.
type AgentOptions struct {
	Binary string   // the vault binary; see Build
	Config string   // its configuration file
	Dir    string   // folder for its log; it must exist
	Env    []string // added to its environment, which the commands of its templates have too
}

// Agent is a running Vault Agent. It tells its log all that its templates do, which includes no secrets.
type Agent struct{ *Process }

// StartAgent starts an agent, as somebody at a terminal would. What it has done is for [Agent.Until] to wait for:
// an agent listens nowhere.
func StartAgent(ctx context.Context, o AgentOptions) (*Agent, error) {
	process, err := start(ctx, launch{
		name: "vault agent", path: o.Binary, args: []string{"agent", "-config=" + o.Config, "-log-level=debug"},
		env: append([]string{"HOME=" + o.Dir}, o.Env...), log: filepath.Join(o.Dir, "agent.log"),
	})
	return &Agent{process}, err
}

// Until calls ask again and again until it returns nil. It fails after the time limit, and at once if the agent
// ends, with the end of its log.
func (a *Agent) Until(ctx context.Context, limit time.Duration, ask func(context.Context) error) error {
	return a.ready(ctx, limit, ask)
}
