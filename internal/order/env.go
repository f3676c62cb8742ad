package order

import (
	"context"
	"crypto"
	"errors"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Env is everything outside that a step may touch.
type Env struct {
	Now func() time.Time
	// Jitter gives a number in [0,1).
	Jitter func() float64
	CA     CA
	Safe   Safe
	// Claim reserves an order at the CA for a local order. It returns the
	// local order that has it already, or id itself. Two local orders must
	// never share one: each would certify its own key (some CAs, Boulder among
	// them, answer newOrder with a pending order for the same names).
	Claim func(url string, id ID) (holder ID)
}

// CA is the order's account at its CA. Each method is one request of RFC 8555
// and MUST be safe to repeat as far as the protocol allows. Refusals are
// *acme.Problem, everything without an answer is *acme.Unreachable.
type CA interface {
	NewOrder(context.Context, acme.NewOrder) (acme.Order, error)
	Order(ctx context.Context, url string) (acme.Order, error)
	Authorization(ctx context.Context, url string) (acme.Authorization, error)
	// Answer tells the CA that a challenge is in place (§7.5.1).
	Answer(ctx context.Context, challengeURL string) error
	Finalize(ctx context.Context, finalizeURL string, csr []byte) (acme.Order, error)
	// Certificate gives a chain in DER, leaf first.
	Certificate(ctx context.Context, url string) ([][]byte, error)
}

// ErrNoKey is returned by a Safe that holds no key for an order.
var ErrNoKey = errors.New("no key is stored for the order")

// Safe keeps what an order yields. Each method returns only after the thing is
// stored durably, and MAY be called again with the same arguments.
type Safe interface {
	// Key returns [ErrNoKey] when none was kept.
	Key(context.Context, ID) (crypto.Signer, error)
	KeepKey(context.Context, ID, crypto.Signer) error
	KeepCertificate(context.Context, *Order, *Certificate) error
}
