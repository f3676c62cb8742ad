package pkiexternalca

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/retention"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// retentionFields are the settings of how long finished orders are kept.
var retentionFields = field.Set[mountConfig]{
	field.SecondsOr("tidy_failed_after", "How long after its end an order without a certificate is deleted; 0 keeps all for ever",
		retention.Defaults.Failed, retention.Longest, func(c *mountConfig) **time.Duration { return &c.TidyFailed }),
	field.SecondsOr("tidy_completed_after", "How long after the expiry of its certificate an order is deleted, with certificate and key; 0 keeps all for ever",
		retention.Defaults.Completed, retention.Longest, func(c *mountConfig) **time.Duration { return &c.TidyCompleted }),
}

// retention is how long finished orders are kept.
func (c *mountConfig) retention() retention.Policy {
	p := retention.Defaults
	if c.TidyFailed != nil {
		p.Failed = *c.TidyFailed
	}
	if c.TidyCompleted != nil {
		p.Completed = *c.TidyCompleted
	}
	return p
}

// readRetention is how long finished orders are kept now. Settings that this
// release cannot read may say anything, and so everything is kept.
func readRetention(ctx context.Context, s logical.Storage) (retention.Policy, error) {
	config, err := readConfig(ctx, s)
	if errors.Is(err, store.ErrUnreadable) {
		return retention.Policy{}, nil
	}
	if err != nil {
		return retention.Policy{}, err
	}
	return config.retention(), nil
}
