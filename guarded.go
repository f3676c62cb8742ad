package pkiexternalca

import (
	"context"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// guarded is an account at its CA whose key may be changed while an order is at
// work with it. A refusal that came after the key was changed says nothing
// about the order, so it becomes a failure that is tried again with the new key.
type guarded struct {
	client  *client
	changed func(context.Context) bool
}

var (
	_ order.CA = (*guarded)(nil)
	_ order.CA = unavailable{}
)

func (g *guarded) check(ctx context.Context, err error) error {
	if err == nil || acme.Temporary(err) || !g.changed(ctx) {
		return err
	}
	return &acme.Unreachable{Doing: "using an account whose key was being changed", Err: err}
}

// NewOrder implements order.CA.
func (g *guarded) NewOrder(ctx context.Context, wish acme.NewOrder) (acme.Order, error) {
	if err := g.checkProfile(ctx, wish.Profile); err != nil {
		return acme.Order{}, err
	}
	o, err := g.client.NewOrder(ctx, wish)
	return o, g.check(ctx, err)
}

// checkProfile ends an order for a profile that the CA does not advertise,
// before the CA hears of it.
func (g *guarded) checkProfile(ctx context.Context, profile string) error {
	if profile == "" {
		return nil
	}
	about, err := g.client.Directory(ctx)
	if err != nil {
		return err
	}
	if err := acme.CheckProfile(profile, about.Profiles); err != nil {
		return order.NoProfile(err)
	}
	return nil
}

// Order implements order.CA.
func (g *guarded) Order(ctx context.Context, url string) (acme.Order, error) {
	o, err := g.client.Order(ctx, url)
	return o, g.check(ctx, err)
}

// Authorization implements order.CA.
func (g *guarded) Authorization(ctx context.Context, url string) (acme.Authorization, error) {
	a, err := g.client.Authorization(ctx, url)
	return a, g.check(ctx, err)
}

// Answer implements order.CA.
func (g *guarded) Answer(ctx context.Context, url string) error {
	return g.check(ctx, g.client.Answer(ctx, url))
}

// KeyAuthorization implements order.CA.
func (g *guarded) KeyAuthorization(token string) (string, error) {
	return g.client.KeyAuthorization(token), nil
}

// Finalize implements order.CA.
func (g *guarded) Finalize(ctx context.Context, url string, csr []byte) (acme.Order, error) {
	o, err := g.client.Finalize(ctx, url, csr)
	return o, g.check(ctx, err)
}

// Certificate implements order.CA.
func (g *guarded) Certificate(ctx context.Context, url string) (acme.Chain, error) {
	chain, err := g.client.Certificate(ctx, url)
	return chain, g.check(ctx, err)
}

// unavailable is a CA that cannot be asked, with the reason.
type unavailable struct{ err error }

// NewOrder implements order.CA.
func (u unavailable) NewOrder(context.Context, acme.NewOrder) (acme.Order, error) {
	return acme.Order{}, u.err
}

// Order implements order.CA.
func (u unavailable) Order(context.Context, string) (acme.Order, error) {
	return acme.Order{}, u.err
}

// Authorization implements order.CA.
func (u unavailable) Authorization(context.Context, string) (acme.Authorization, error) {
	return acme.Authorization{}, u.err
}

// Answer implements order.CA.
func (u unavailable) Answer(context.Context, string) error { return u.err }

// KeyAuthorization implements order.CA.
func (u unavailable) KeyAuthorization(string) (string, error) { return "", u.err }

// Finalize implements order.CA.
func (u unavailable) Finalize(context.Context, string, []byte) (acme.Order, error) {
	return acme.Order{}, u.err
}

// Certificate implements order.CA.
func (u unavailable) Certificate(context.Context, string) (acme.Chain, error) {
	return acme.Chain{}, u.err
}
