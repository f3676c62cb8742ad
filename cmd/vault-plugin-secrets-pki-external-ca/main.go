// Command vault-plugin-secrets-pki-external-ca is the secrets engine as Vault
// runs it: a plugin process that serves one or more mounts.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"

	pkiexternalca "vault-plugin-secrets-pki-external-ca"
)

// orphanCheck is how often the plugin looks whether Vault still lives.
const orphanCheck = 2 * time.Second

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "-version" || os.Args[1] == "--version") {
		fmt.Println(pkiexternalca.Version)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	go exitWhenOrphaned(ctx, os.Getppid())
	err := serve(os.Args[1:])
	stop()
	if err != nil {
		hclog.Default().Error("the plugin cannot be served", "error", err)
		os.Exit(1)
	}
}

// serve speaks the plugin protocol until Vault ends it.
func serve(args []string) error {
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(args); err != nil {
		return fmt.Errorf("reading the arguments: %w", err)
	}
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: pkiexternalca.Factory,
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
}

// exitWhenOrphaned ends the process when Vault died without ending it. An
// orphan would go on working orders that a new leader is working on too.
func exitWhenOrphaned(ctx context.Context, parent int) {
	ticker := time.NewTicker(orphanCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				os.Exit(1)
			}
		}
	}
}
