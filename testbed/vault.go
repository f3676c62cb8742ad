package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/vault/api"
)

// vaultLimit is how long Vault may take to start, to unseal or to become active.
const vaultLimit = 90 * time.Second

// Storage names a storage back end of Vault.
type Storage string

const (
	// Raft is integrated storage, what production uses. It survives restarts.
	Raft Storage = "raft"
	// InMemory is gone with the process, and starts faster.
	InMemory Storage = "inmem"
)

// VaultOptions says what Vault server to start.
type VaultOptions struct {
	Binary   string   // the vault binary; see Build
	Dir      string   // folder for everything the server writes; it must exist
	Storage  Storage  // Raft if empty
	NodeID   string   // name of the raft node; "node1" if empty
	LogLevel string   // "info" if empty
	Env      []string // added to the server's environment, which its plugins inherit

	member bool // of a cluster: it may be a standby
}

// Vault is a Vault server, initialized and unsealed, with one unseal key.
type Vault struct {
	Addr      string // http://127.0.0.1:port
	Token     string // the root token
	UnsealKey string // base64
	WorkDir   string // where its command line runs: files given as @file are found there

	process *Process        // the current one; Restart starts another
	life    context.Context // of StartVault: every process of this server ends with it
	options VaultOptions
	home    string // where its command line keeps files
	port    int
	cluster int
}

// StartVault starts a server, initializes it and unseals it. It returns when the server answers requests.
func StartVault(ctx context.Context, o VaultOptions) (*Vault, error) {
	v, err := newVault(o)
	if err != nil {
		return nil, err
	}
	v.life = ctx
	if err := v.launch(ctx); err != nil {
		return nil, err
	}
	if err := v.initialize(ctx); err != nil {
		v.Stop()
		return nil, err
	}
	return v, nil
}

// newVault picks ports and writes the configuration.
func newVault(o VaultOptions) (*Vault, error) {
	ports, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	v := &Vault{options: o, WorkDir: o.Dir, port: ports[0], cluster: ports[1]}
	v.Addr = "http://" + Loopback(v.port)
	v.home = filepath.Join(o.Dir, "home")
	for _, dir := range []string{v.home, v.PluginDir(), v.storageDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	config, err := json.MarshalIndent(v.config(), "", "  ")
	if err != nil {
		return nil, err
	}
	return v, os.WriteFile(v.configPath(), config, 0o600)
}

// PluginDir is the server's plugin_directory.
func (v *Vault) PluginDir() string { return filepath.Join(v.options.Dir, "plugins") }

// LogPath is the file with the server's log, which holds what its plugins log too.
func (v *Vault) LogPath() string { return filepath.Join(v.options.Dir, "vault.log") }

// racePath is where the race detector writes, with the process id added.
func (v *Vault) racePath() string   { return filepath.Join(v.options.Dir, "race") }
func (v *Vault) storageDir() string { return filepath.Join(v.options.Dir, "storage") }
func (v *Vault) configPath() string { return filepath.Join(v.options.Dir, "vault.json") }

// config is the server's configuration file. The key of storage is the storage's type.
func (v *Vault) config() map[string]any {
	return map[string]any{
		"storage": map[string]any{string(orDefault(v.options.Storage, Raft)): v.storageConfig()},
		"listener": map[string]any{"tcp": map[string]any{
			"address": Loopback(v.port), "cluster_address": Loopback(v.cluster), "tls_disable": true,
		}},
		"api_addr":         v.Addr,
		"cluster_addr":     "https://" + Loopback(v.cluster),
		"plugin_directory": v.PluginDir(),
		"disable_mlock":    true, // locking memory takes a privilege that tests do not need
		"log_level":        orDefault(v.options.LogLevel, "info"),
	}
}

func (v *Vault) storageConfig() map[string]string {
	storage := map[string]string{"path": v.storageDir()}
	if orDefault(v.options.Storage, Raft) == Raft {
		storage["node_id"] = orDefault(v.options.NodeID, "node1")
	}
	if v.options.member {
		maps.Copy(storage, hasty)
	}
	return storage
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// launch starts the process and waits until it answers, sealed.
func (v *Vault) launch(ctx context.Context) error {
	process, err := start(v.life, launch{
		name: "vault", path: v.options.Binary, args: []string{"server", "-config", v.configPath()},
		env: append([]string{"HOME=" + v.home, "GORACE=log_path=" + v.racePath()}, v.options.Env...), log: v.LogPath(),
	})
	if err != nil {
		return err
	}
	v.process = process
	client := v.client("")
	err = process.ready(ctx, vaultLimit, func(ctx context.Context) error {
		_, err := client.Sys().SealStatusWithContext(ctx)
		return err
	})
	if err != nil {
		v.Stop()
	}
	return err
}

// initialize makes the unseal key and the root token, and unseals.
func (v *Vault) initialize(ctx context.Context) error {
	keys, err := v.client("").Sys().InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		return fmt.Errorf("initialize vault: %w", err)
	}
	v.Token, v.UnsealKey = keys.RootToken, keys.KeysB64[0]
	return v.Unseal(ctx)
}

// Unseal unseals the server and waits until it is active, or a standby if it is one of a cluster.
func (v *Vault) Unseal(ctx context.Context) error {
	if _, err := v.client("").Sys().UnsealWithContext(ctx, v.UnsealKey); err != nil {
		return fmt.Errorf("unseal vault: %w", err)
	}
	client := v.client("")
	return v.process.ready(ctx, vaultLimit, func(ctx context.Context) error {
		health, err := client.Sys().HealthWithContext(ctx)
		switch {
		case err != nil:
			return err
		case health.Sealed || health.Standby && !v.options.member:
			return fmt.Errorf("sealed %t, standby %t", health.Sealed, health.Standby)
		}
		return nil
	})
}

// Seal seals the server: it forgets every key, and unloads the plugin.
func (v *Vault) Seal(ctx context.Context) error {
	if err := v.Client().Sys().SealWithContext(ctx); err != nil {
		return fmt.Errorf("seal vault: %w", err)
	}
	return nil
}

// Restart starts the server again on the same storage and port, and unseals it. It stops the server first,
// unless that has ended already (see Kill). In-memory storage does not survive it. ctx bounds the wait; the
// server lives as long as the context of StartVault.
func (v *Vault) Restart(ctx context.Context) error {
	v.Stop()
	if err := v.launch(ctx); err != nil {
		return fmt.Errorf("restart vault: %w", err)
	}
	return v.Unseal(ctx)
}

// PID is the process id of the server.
func (v *Vault) PID() int { return v.process.PID() }

// Stop ends the server and its plugins; see [Process.Stop].
func (v *Vault) Stop() { v.process.Stop() }

// Kill ends the server as a power cut would; see [Process.Kill].
func (v *Vault) Kill() error { return v.process.Kill() }

// Client returns an API client with the root token, which repeats nothing by itself: a test wants to see
// the first answer.
func (v *Vault) Client() *api.Client { return v.client(v.Token) }

func (v *Vault) client(token string) *api.Client {
	config := api.DefaultConfig()
	config.Address = v.Addr
	config.MaxRetries = 0
	client, err := api.NewClient(config)
	if err != nil {
		panic(err) // an address of our own making; see newVault
	}
	client.ClearNamespace()
	client.SetToken(token)
	return client
}
