package pkiexternalca

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

const (
	// defaultRequests is how many requests of an account may be in flight where
	// nobody says otherwise. No public CA minds so many, and it is enough for all
	// that they allow an account in an hour.
	defaultRequests = 16
	// mostRequests is what may be set. Beyond it a CA on the same machine would
	// not be faster.
	mostRequests = 256
)

// mountConfig is the settings of the mount itself. Everything works without.
type mountConfig struct {
	Propagation dnsprovider.Propagation `json:"propagation"`
	// MaxRequests bounds the requests of each account that are in flight; 0 means
	// [defaultRequests].
	MaxRequests int `json:"max_requests_per_account,omitempty"`
	// MaxWaiting bounds the requests that wait for orders; 0 means
	// [defaultWaiting].
	MaxWaiting int `json:"max_waiting_requests,omitempty"`
	// How long finished orders are kept, see [retention.Policy]; nil leaves it to
	// the defaults.
	TidyFailed    *time.Duration `json:"tidy_failed_after,omitempty"`
	TidyCompleted *time.Duration `json:"tidy_completed_after,omitempty"`
	// RelayDisabled switches the relay off, whatever roles ask for.
	RelayDisabled bool `json:"http_01_relay_disabled,omitempty"`
}

// maxRequests is the bound that holds.
func (c *mountConfig) maxRequests() int { return cmp.Or(c.MaxRequests, defaultRequests) }

// maxWaiting is the bound that holds.
func (c *mountConfig) maxWaiting() int { return cmp.Or(c.MaxWaiting, defaultWaiting) }

// configName is the one name below configs.
const configName = "mount"

var configFields = slices.Concat(
	field.Lift(dnsprovider.PropagationFields(), func(c *mountConfig) *dnsprovider.Propagation { return &c.Propagation }),
	field.Set[mountConfig]{
		field.Int("max_requests_per_account", "How many requests of one ACME account may be in flight at once", parseMaxRequests,
			func(c *mountConfig) *int { return &c.MaxRequests }),
		field.Int("max_waiting_requests", "How many requests may wait for orders at once", parseWaiting,
			func(c *mountConfig) *int { return &c.MaxWaiting }),
	},
	relayFields,
	retentionFields,
)

func parseMaxRequests(n int) (int, error) {
	if n < 1 || n > mostRequests {
		return 0, fmt.Errorf("%d is not between 1 and %d", n, mostRequests)
	}
	return n, nil
}

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
		help: `How many requests of one account may be in flight, 16 unless it is set; whether CAs are answered here; how
long finished orders are kept, unless it is set 7 days after they failed, or 30 days after their certificate has expired;
the other settings hold where a DNS provider has none of its own. What is not set there either is sensible: the zone's
name servers are asked, every 5 seconds for 10 minutes.`,
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
	config.MaxRequests = config.maxRequests()
	config.MaxWaiting = config.maxWaiting()
	return &logical.Response{Data: configFields.Show(config)}, nil
}

func (b *backend) writeConfig(ctx context.Context, req *request) (*logical.Response, error) {
	err := b.changeConfig(ctx, req.Storage, func() error {
		config, err := readConfig(ctx, req.Storage)
		if err != nil {
			return err
		}
		changed, err := configFields.Update(config, req.fields)
		if err != nil {
			return err
		}
		return configs.Put(ctx, req.Storage, configName, changed)
	})
	if err != nil {
		return nil, err
	}
	return b.readConfig(ctx, req)
}

func (b *backend) deleteConfig(ctx context.Context, req *request) (*logical.Response, error) {
	return nil, b.changeConfig(ctx, req.Storage, func() error { return configs.Delete(ctx, req.Storage, configName) })
}

// changeConfig changes the stored settings, and has what is stored hold even if
// that failed: a storage that fails may have written.
func (b *backend) changeConfig(ctx context.Context, s logical.Storage, change func() error) error {
	b.configLock.Lock()
	defer b.configLock.Unlock()
	err := change()
	b.dns.forget()
	b.wakeTidying()
	return errors.Join(err, b.obeyConfig(ctx, s))
}

// applyConfig has the stored settings hold before the work begins.
func (b *backend) applyConfig(ctx context.Context, s logical.Storage) error {
	b.configLock.Lock()
	defer b.configLock.Unlock()
	return b.obeyConfig(ctx, s)
}

// obeyConfig needs the configuration's lock. Settings that cannot be read by
// this release stop nobody: the work goes on with the default, but the relay is
// off, because they may say so.
func (b *backend) obeyConfig(ctx context.Context, s logical.Storage) error {
	config, err := readConfig(ctx, s)
	switch {
	case errors.Is(err, store.ErrUnreadable):
		b.Logger().Error("the configuration of the mount cannot be read; the defaults hold", "error", err)
		config = &mountConfig{RelayDisabled: true}
	case err != nil:
		return err
	}
	b.relay.Switch(!config.RelayDisabled)
	b.authorities.flights.SetMost(config.maxRequests())
	if e := b.running().orders; e != nil {
		e.Reconsider()
	}
	return nil
}
