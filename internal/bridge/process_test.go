package bridge

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// process is a running plugin and the host's end of the connection to it. Like
// Vault, the host serves several mounts over one process.
type process struct {
	client *goplugin.Client
	rpc    *goplugin.GRPCClient
}

// startProcess starts the plugin, and ends it with the test.
func startProcess(t testing.TB) *process {
	t.Helper()
	p, err := launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Kill)
	return p
}

// launch starts the plugin as Vault's catalog does.
func launch(ctx context.Context) (*process, error) {
	runner := &pluginutil.PluginRunner{Name: pluginName, Type: consts.PluginTypeSecrets, Command: program.path, Sha256: program.sum[:]}
	client, err := runner.RunConfig(
		ctx,
		pluginutil.PluginSets(plugin.PluginSet),
		pluginutil.HandshakeConfig(plugin.HandshakeConfig),
		pluginutil.Logger(hclog.NewNullLogger()),
		pluginutil.AutoMTLS(true),
		pluginutil.Runner(&logical.StaticSystemView{}),
	)
	if err != nil {
		return nil, fmt.Errorf("starting the plugin: %w", err)
	}
	protocol, err := client.Client()
	if err != nil {
		client.Kill()
		return nil, fmt.Errorf("connecting to the plugin: %w", err)
	}
	return &process{client: client, rpc: protocol.(*goplugin.GRPCClient)}, nil
}

func (p *process) pid() int { return p.client.ReattachConfig().Pid }

// kill ends the process as a crash does.
func (p *process) kill() { _ = syscall.Kill(p.pid(), syscall.SIGKILL) }

// dispense makes a backend of a mount that is not set up yet.
func (p *process) dispense() (logical.Backend, error) {
	return plugin.Dispense(p.rpc, pluginClient{ClientProtocol: p.rpc, conn: connection{p.rpc.Conn, rand.Text()}})
}

// connection is a mount's share of the connection to a process: every call
// carries the mount's id, by which the process tells its mounts apart.
type connection struct {
	*grpc.ClientConn
	id string
}

var _ grpc.ClientConnInterface = connection{}

// Invoke implements grpc.ClientConnInterface.
func (c connection) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.ClientConn.Invoke(c.marked(ctx), method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (c connection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConn.NewStream(c.marked(ctx), desc, method, opts...)
}

func (c connection) marked(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, pluginutil.MultiplexingCtxKey, c.id)
}

// pluginClient is what Vault's catalog hands to a mount.
type pluginClient struct {
	goplugin.ClientProtocol
	conn connection
}

// Conn implements pluginutil.PluginClient.
func (c pluginClient) Conn() grpc.ClientConnInterface { return c.conn }

// Reload implements pluginutil.PluginClient.
func (c pluginClient) Reload() error { return nil }

// Close implements pluginutil.PluginClient. The process goes on for the others.
func (c pluginClient) Close() error { return nil }

// running tells whether a process is alive. One that has ended stays in the
// table of processes until its parent has asked how, which an orphan's may not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	var state string
	if _, err := fmt.Sscanf(string(stat[lastBracket(stat):]), ") %s", &state); err != nil {
		return false
	}
	return state != "Z" && state != "X"
}

// lastBracket is where the program's name ends, which may hold brackets itself.
func lastBracket(stat []byte) int {
	for i := len(stat) - 1; i > 0; i-- {
		if stat[i] == ')' {
			return i
		}
	}
	return 0
}
