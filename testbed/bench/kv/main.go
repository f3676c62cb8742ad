// Command kv is version 1 of Vault's key-value engine as an external plugin, to
// measure reads beside. Vault has its own under the name of kv and allows no
// other; under any other name it makes a lease for each secret that is read,
// which costs far more than the read, so the answers here hold no secret in
// Vault's sense.
package main

import (
	"context"
	"os"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	if err := plugin.ServeMultiplex(&plugin.ServeOpts{BackendFactoryFunc: factory}); err != nil {
		hclog.Default().Error("the plugin cannot be served", "error", err)
		os.Exit(1)
	}
}

func factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b, err := kv.Factory(ctx, conf)
	return unleased{b}, err
}

// unleased is the engine without leases.
type unleased struct{ logical.Backend }

// HandleRequest implements logical.Backend.
func (u unleased) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	resp, err := u.Backend.HandleRequest(ctx, req)
	if resp != nil {
		resp.Secret = nil
	}
	return resp, err
}
