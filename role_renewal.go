package pkiexternalca

import (
	"fmt"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

// renewalWishes say whether and when a role's certificates are renewed.
type renewalWishes struct {
	AutoRenew             bool          `json:"auto_renew,omitempty"`
	RenewBefore           time.Duration `json:"renew_before,omitempty"`
	RenewBeforePercentage int           `json:"renew_before_percentage,omitempty"`
	RenewUnusedFor        time.Duration `json:"renew_unused_for,omitempty"`
	ReuseKey              bool          `json:"reuse_key,omitempty"`
}

var renewalFields = field.Set[renewalWishes]{
	field.Bool("auto_renew", "Whether Vault renews certificates whose key it has made", func(w *renewalWishes) *bool { return &w.AutoRenew }),
	field.Seconds("renew_before", "How long before its end a certificate is renewed; 0 to go by the CA's advice",
		func(w *renewalWishes) *time.Duration { return &w.RenewBefore }),
	field.Int("renew_before_percentage", "How much of its lifetime a certificate has left when it is renewed; 0 to go by the CA's advice",
		parseRenewPercentage, func(w *renewalWishes) *int { return &w.RenewBeforePercentage }),
	field.Seconds("renew_unused_for", "How long a certificate that nobody fetches is renewed all the same; 0 for as long as it is valid",
		func(w *renewalWishes) *time.Duration { return &w.RenewUnusedFor }),
	field.Bool("reuse_key", "Whether a renewed certificate keeps the private key of the one before", func(w *renewalWishes) *bool { return &w.ReuseKey }),
}

func parseRenewPercentage(n int) (int, error) {
	if n < 0 || n > 90 {
		return 0, fmt.Errorf("%d is not between 0 and 90", n)
	}
	return n, nil
}

// check refuses what contradicts itself.
func (w *renewalWishes) check() error {
	if w.RenewBefore > 0 && w.RenewBeforePercentage > 0 {
		return badRequest("renew_before and renew_before_percentage are both set; set one of them to 0")
	}
	return nil
}

// renewal is what the role wants of renewals.
func (w *renewalWishes) renewal() renewal.Policy {
	return renewal.Policy{Before: w.RenewBefore, Percentage: w.RenewBeforePercentage, UnusedFor: w.RenewUnusedFor}
}
