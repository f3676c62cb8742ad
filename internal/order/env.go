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
	// Abreast is how many authorizations of an order are read, or answered, at
	// once; one at a time when it is zero.
	Abreast int
	// DNS writes the proofs that Vault can give by itself.
	DNS DNS
	// Relaying tells whether http-01 is answered here for orders that ask for it.
	Relaying func() bool
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
	// KeyAuthorization is what proves control with a token (§8.1).
	KeyAuthorization(token string) (string, error)
	// Certificate gives a chain, by the URL of the certificate or that of an
	// alternate chain (§7.4.2).
	Certificate(ctx context.Context, url string) (acme.Chain, error)
}

// DNS proves identifiers by TXT records, where it can. An error of [Refuse] ends
// the order, one of [Postpone] says when to come back; everything else is tried
// again.
type DNS interface {
	// Locate finds where the proof of an identifier has to be, following the
	// aliases of its name, and who may write there. It returns false when
	// nobody may: a human has to fulfil a challenge.
	Locate(context.Context, *Order, acme.Identifier) (Place, bool, error)
	// Add writes a proof, after it has been stored that it is to be removed
	// again once the order is final. It MAY be repeated.
	Add(context.Context, ID, Proof) error
	// Visible looks whether a CA would see a proof.
	Visible(context.Context, Proof) (Sight, error)
	// Terms are how long a provider's proofs may take to become visible, and how
	// often to look.
	Terms(context.Context, Place) (Terms, error)
}

// Sight is what a look at a proof has shown.
type Sight struct {
	Visible bool
	// Report says which server answered what, when not all showed the proof.
	Report string
}

// Terms bound the wait for proofs.
type Terms struct{ Timeout, Interval time.Duration }

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
