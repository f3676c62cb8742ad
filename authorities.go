package pkiexternalca

import (
	"context"
	"crypto"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/flight"
)

// authorities holds a client for each account that is in use. Accounts at the
// same CA share its connections, directory and nonces.
type authorities struct {
	now func() time.Time
	// flights bounds the requests of each account that are under way.
	flights *flight.Bounds

	mu      sync.Mutex
	clients map[string]*client
	// servers outlive the clients, which come and go with every change of an
	// account.
	servers map[authority]*acmeclient.Server
	// drops counts what was dropped: an account that was read before the latest
	// drop may be out of date.
	drops int
}

// client is an account, ready to be used.
type client struct {
	*acmeclient.Client
	// version is the account key that the client signs with.
	version int
}

// authority tells CAs apart: the same URL under another trust is another one.
type authority struct{ directoryURL, trustedCA string }

func newAuthorities(now func() time.Time) *authorities {
	return &authorities{now: now, flights: flight.New(defaultRequests), clients: map[string]*client{}, servers: map[authority]*acmeclient.Server{}}
}

// server makes the means to talk to an account's CA; it sends nothing.
func (a *authorities) server(of *account.Account) (*acmeclient.Server, error) {
	return acmeclient.New(acmeclient.Config{
		DirectoryURL: of.DirectoryURL,
		TrustedCA:    []byte(of.TrustedCA),
		UserAgent:    "vault-plugin-secrets-pki-external-ca/" + Version,
		Now:          a.now,
	})
}

// directory is what the CA of an account said about itself when an order last
// had it read; false if none has.
func (a *authorities) directory(of *account.Account) (acme.Directory, bool) {
	a.mu.Lock()
	server, open := a.servers[authority{of.DirectoryURL, of.TrustedCA}]
	a.mu.Unlock()
	if !open {
		return acme.Directory{}, false
	}
	return server.Known()
}

// cached gives the client of an account that was used before, or nil and what
// [authorities.keep] is to be told.
func (a *authorities) cached(name string) (c *client, drops int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.clients[name], a.drops
}

// keep makes the client of an account, over the connections of others at the
// same CA. It is remembered, unless an account was dropped since the number of
// drops was read, which was before the account was.
func (a *authorities) keep(of *account.Account, drops int) (*client, error) {
	key, err := of.Signer()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := authority{of.DirectoryURL, of.TrustedCA}
	server, open := a.servers[at]
	if !open {
		if server, err = a.server(of); err != nil {
			return nil, err
		}
		a.servers[at] = server
	}
	c := &client{Client: server.Account(of.URL, key).Within(a.flights.Of(of.Name)), version: of.ActiveVersion()}
	if drops == a.drops {
		a.clients[of.Name] = c
	}
	return c, nil
}

// drop forgets the client of an account that has changed.
func (a *authorities) drop(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.clients, name)
	a.drops++
}

// close lets go of idle connections.
func (a *authorities) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, server := range a.servers {
		server.Close()
	}
}

// clientOf gives the client of an account, after settling a key change whose
// outcome is unknown.
func (b *backend) clientOf(ctx context.Context, s logical.Storage, name string) (*client, error) {
	c, drops := b.authorities.cached(name)
	if c != nil {
		return c, nil
	}
	acct, err := accounts.Get(ctx, s, name)
	if err != nil {
		return nil, err
	}
	if acct.Candidate == nil {
		return b.authorities.keep(acct, drops)
	}
	if err := b.reconcile(ctx, s, name); err != nil {
		return nil, err
	}
	return b.clientOf(ctx, s, name)
}

// reconcile settles an account's unfinished key change.
func (b *backend) reconcile(ctx context.Context, s logical.Storage, name string) error {
	release, err := b.reserve(accounts.Prefix + name)
	if err != nil {
		return &acme.Unreachable{Doing: "using account " + name, Err: err}
	}
	defer release()
	acct, err := accounts.Get(ctx, s, name)
	if err != nil {
		return err
	}
	return b.settle(ctx, s, acct)
}

// settle ends the unfinished key change of an account that is reserved.
func (b *backend) settle(ctx context.Context, s logical.Storage, a *account.Account) error {
	ca, err := b.keyHolder(a)
	if err != nil {
		return err
	}
	defer ca.Close()
	return account.Reconcile(ctx, a, ca, b.saver(ctx, s), b.now())
}

// saver stores an account, forgets its client, and has its key changed when it is
// due, whether storing succeeded or not: a storage that fails may have written.
func (b *backend) saver(ctx context.Context, s logical.Storage) account.Save {
	return func(a *account.Account) error {
		defer b.wakeRotation(a)
		defer b.authorities.drop(a.Name)
		return accounts.Put(ctx, s, a.Name, a)
	}
}

// keyHolder is the CA as package account asks it. It waits patiently for each
// answer, and its requests count among those of the account. Whoever opens one
// closes it.
type keyHolder struct {
	*acmeclient.Server
	flights flight.Limit
}

func (b *backend) keyHolder(a *account.Account) (keyHolder, error) {
	server, err := b.authorities.server(a)
	return keyHolder{server, b.authorities.flights.Of(a.Name)}, err
}

// FindAccount implements account.CA.
func (k keyHolder) FindAccount(ctx context.Context, key crypto.Signer) (acme.Account, error) {
	ctx, cancel := patiently(ctx)
	defer cancel()
	leave, err := k.flights.Enter(ctx)
	if err != nil {
		return acme.Account{}, &acme.Unreachable{Doing: "waiting until fewer requests of the account are under way", Err: err}
	}
	defer leave()
	return k.Server.FindAccount(ctx, key)
}

// Account gives a client whose requests count among those of the account.
func (k keyHolder) Account(url string, key crypto.Signer) *acmeclient.Client {
	return k.Server.Account(url, key).Within(k.flights)
}

// ChangeKey implements account.CA.
func (k keyHolder) ChangeKey(ctx context.Context, url string, from, to crypto.Signer) error {
	ctx, cancel := patiently(ctx)
	defer cancel()
	return k.Account(url, from).ChangeKey(ctx, to)
}

// errBusy says that another request is at work on the same account.
var errBusy = fmt.Errorf("another operation on the account is under way; try again when it has ended")

// reserve takes a name for one operation at a time, across the waits for a CA.
// It is no lock: whoever comes second is told so at once.
func (b *backend) reserve(name string) (release func(), err error) {
	if _, taken := b.reserved.LoadOrStore(name, true); taken {
		return nil, errBusy
	}
	return func() { b.reserved.Delete(name) }, nil
}

// isReserved tells whether an operation has a name for itself.
func (b *backend) isReserved(name string) bool {
	_, taken := b.reserved.Load(name)
	return taken
}
