package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
	"github.com/go-acme/lego/v4/certcrypto"
)

// direct is the hardest yardstick: a loop over lego's acme/api that does nothing
// but the requests RFC 8555 demands, remembers nothing, and waits for nothing
// but the CA.
type direct struct {
	*legoClient
	core *api.Core
	web  webRoot
}

// newDirect uses the same account as lego's client.
func (a *authority) newDirect() (*direct, error) {
	l := a.lego
	core, err := api.New(l.gateway.Client(), "bench", l.gateway.DirectoryURL, l.account.URI, l.key)
	return &direct{legoClient: l, core: core, web: webRoot{a.bed.Web}}, err
}

// obtain gets a certificate for names, with a new key, and asks the CA how far it
// is at every interval.
func (d *direct) obtain(ctx context.Context, names []string, interval time.Duration) error {
	order, err := d.core.Orders.New(names)
	if err != nil {
		return err
	}
	for _, url := range order.Authorizations {
		if err := d.prove(url); err != nil {
			return err
		}
	}
	if _, err := d.await(ctx, order.Location, acme.StatusReady, interval); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := certcrypto.CreateCSR(key, certcrypto.CSROptions{Domain: names[0], SAN: names})
	if err != nil {
		return err
	}
	if _, err := d.core.Orders.UpdateForCSR(order.Finalize, csr); err != nil {
		return err
	}
	order, err = d.await(ctx, order.Location, acme.StatusValid, interval)
	if err != nil {
		return err
	}
	_, _, err = d.core.Certificates.Get(order.Certificate, false)
	return err
}

// prove puts the http-01 challenge of an authorization in place and says so.
func (d *direct) prove(url string) error {
	authorization, err := d.core.Authorizations.Get(url)
	if err != nil {
		return err
	}
	for _, c := range authorization.Challenges {
		if c.Type != "http-01" {
			continue
		}
		keyAuth, err := d.core.GetKeyAuthorization(c.Token)
		if err != nil {
			return err
		}
		if err := d.web.Present("", c.Token, keyAuth); err != nil {
			return err
		}
		_, err = d.core.Challenges.New(c.URL)
		return err
	}
	return fmt.Errorf("the CA offers no http-01 for %s", authorization.Identifier.Value)
}

// await reads an order until it has a status.
func (d *direct) await(ctx context.Context, url, want string, interval time.Duration) (acme.ExtendedOrder, error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		order, err := d.core.Orders.Get(url)
		switch {
		case err != nil || order.Status == want:
			return order, err
		case order.Status == acme.StatusInvalid:
			return order, fmt.Errorf("the order is invalid: %w", order.Err())
		}
		select {
		case <-ctx.Done():
			return order, ctx.Err()
		case <-tick.C:
		}
	}
}
