package pkiexternalca

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// mountConfig is the settings of the mount itself. Everything works without.
type mountConfig struct {
	Propagation dnsprovider.Propagation `json:"propagation"`
}

// configName is the one name below configs.
const configName = "mount"

var configFields = field.Lift(dnsprovider.PropagationFields(), func(c *mountConfig) *dnsprovider.Propagation { return &c.Propagation })

func readConfig(ctx context.Context, s logical.Storage) (*mountConfig, error) {
	config, err := configs.Get(ctx, s, configName)
	if errors.Is(err, store.ErrNotFound) {
		return &mountConfig{}, nil
	}
	return config, err
}

func (b *backend) configPaths() []*framework.Path {
	return []*framework.Path{b.path(endpoint{
		pattern: "config", suffix: "config",
		synopsis: "Configuration of the mount",
		help: `Settings that hold where a DNS provider has none of its own. What is not set here either is
sensible: the zone's name servers are asked, every 5 seconds for 10 minutes.`,
		fields: configFields.Schema(nil),
		operations: map[logical.Operation]operation{
			logical.ReadOperation:   {summary: "Read the configuration of the mount.", do: b.readConfig, answers: configFields.Shown(), anywhere: true},
			logical.UpdateOperation: {summary: "Change the configuration of the mount.", do: b.writeConfig, answers: configFields.Shown()},
			logical.DeleteOperation: {summary: "Return to the defaults.", do: b.deleteConfig, empty: true},
		},
	})}
}

func (b *backend) readConfig(ctx context.Context, req *request) (*logical.Response, error) {
	config, err := readConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	config.Propagation = config.Propagation.Or(dnsprovider.Defaults)
	return &logical.Response{Data: configFields.Show(config)}, nil
}

func (b *backend) writeConfig(ctx context.Context, req *request) (*logical.Response, error) {
	config, err := readConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	changed, err := configFields.Update(config, req.fields)
	if err != nil {
		return nil, err
	}
	if err := configs.Put(ctx, req.Storage, configName, changed); err != nil {
		return nil, err
	}
	b.dns.forget()
	return b.readConfig(ctx, req)
}

func (b *backend) deleteConfig(ctx context.Context, req *request) (*logical.Response, error) {
	defer b.dns.forget()
	return nil, configs.Delete(ctx, req.Storage, configName)
}
