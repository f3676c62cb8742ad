package pkiexternalca

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/http01"
	"vault-plugin-secrets-pki-external-ca/internal/store"
	"vault-plugin-secrets-pki-external-ca/internal/watch"
)

// requestPatience is how long a request waits for an answer of the CA. A
// waiting request holds up a step-down of Vault by as much.
const requestPatience = 25 * time.Second

// patiently bounds a wait for a CA. What is not a wait for a CA, the making of a
// large key or a write to storage, is kept out of it: a key that took long, or
// an answer that came late, must not be lost.
func patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestPatience)
}

// backend is one mount of the secrets engine.
type backend struct {
	*framework.Backend

	now    func() time.Time
	jitter func() float64
	// storagePause is how long work rests when storage fails.
	storagePause time.Duration
	// askPatience is how long a CA may take to say when to renew a certificate.
	askPatience time.Duration
	// tidyRest is how long storage is left to others between two steps of the
	// deletion of old orders.
	tidyRest time.Duration

	// records remembers what was read from storage and written to it.
	records   *store.Cache
	lifecycle lifecycle
	// watches has the requests that wait for orders.
	watches     watch.Hub
	authorities *authorities
	claims      claims
	passing     passing
	silences    silences
	// Whoever needs several of the locks takes them in this order: rolesLock, one of
	// orderLocks, one of standingLocks, limitsLock. Of orders and of standings nobody
	// has two: many share a lock.

	// orderLocks guard the read and write of one order's record, never a
	// request to a CA.
	orderLocks []*locksutil.LockEntry
	// standingLocks guard the read and write of the records in current, and with
	// them the rule that no wish has two orders under way.
	standingLocks []*locksutil.LockEntry
	// rolesLock guards the rules that a role's account exists, and that an
	// order's role did when the order was stored.
	rolesLock sync.RWMutex
	// configLock guards that the settings which hold are those that are stored.
	configLock sync.Mutex
	// limitsLock guards the read and write of a hold, never a request to a CA.
	limitsLock sync.Mutex
	// reserved holds the names that an operation has for itself, see reserve.
	reserved sync.Map
	// policies holds a compiledPolicy for each role that was used.
	policies sync.Map
	// dns holds the DNS providers that were used.
	dns dnsCache
	// relay answers CAs that validate http-01.
	relay *http01.Relay
}

// Factory makes the backend of a mount. It does nothing else: Vault calls it
// without storage when the plugin is registered, and storage cannot be written
// yet. Work begins with the initialization.
func Factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b := newBackend(time.Now)
	if err := b.Setup(ctx, conf); err != nil {
		return nil, fmt.Errorf("setting up the secrets engine: %w", err)
	}
	return b, nil
}

func newBackend(now func() time.Time) *backend {
	b := &backend{
		now:          now,
		jitter:       rand.Float64,
		storagePause: 5 * time.Second,
		askPatience:  askPatience,
		records:      store.NewCache(mostRemembered, remembered...).KnowAbsence(knownAbsent...),
		tidyRest:     time.Second,
		authorities:  newAuthorities(now),
		claims:       newClaims(),
		passing:      newPassing(),
		silences:     newSilences(),
		orderLocks:   locksutil.CreateLocks(),
		relay:        http01.New(now),

		standingLocks: locksutil.CreateLocks(),
	}
	b.Backend = &framework.Backend{
		BackendType:    logical.TypeLogical,
		Help:           strings.TrimSpace(help),
		RunningVersion: Version,
		Paths:          b.paths(),
		PathsSpecial:   &logical.Paths{SealWrapStorage: sealWrapped, Unauthenticated: []string{relayPath + "+"}},
		InitializeFunc: b.initialize,
		PeriodicFunc:   b.periodic,
		Clean:          b.clean,
		Invalidate:     b.invalidate,
	}
	return b
}

// paths lists all endpoints. The first pattern that matches wins; none of
// these overlaps another, because each captured name ends at a slash.
func (b *backend) paths() []*framework.Path {
	var all []*framework.Path
	for _, group := range [][]*framework.Path{
		b.accountPaths(), b.rolePaths(), b.orderPaths(), b.certificatePaths(), b.lookupPaths(), b.configPaths(), b.dnsPaths(), b.relayPaths(),
	} {
		all = append(all, group...)
	}
	return all
}

// invalidate drops what is remembered of a record that another node changed.
func (b *backend) invalidate(_ context.Context, key string) {
	b.records.Invalidate(key)
	if name, ok := strings.CutPrefix(key, accounts.Prefix); ok {
		b.authorities.drop(name)
	}
	if name, ok := strings.CutPrefix(key, roles.Prefix); ok {
		b.policies.Delete(name)
	}
	if strings.HasPrefix(key, dnsprovider.Prefix) || strings.HasPrefix(key, configs.Prefix) {
		b.dns.forget()
	}
}

// existence tells whether the record named by the path exists, which is what
// makes a write a creation or an update in policies.
func existence[T any](c store.Collection[T]) framework.ExistenceFunc {
	return func(ctx context.Context, req *logical.Request, fields *framework.FieldData) (bool, error) {
		entry, err := req.Storage.Get(ctx, c.Prefix+fields.Get("name").(string))
		return entry != nil, err
	}
}

// listNames lists the names of a collection.
func listNames[T any](c store.Collection[T]) handler {
	return func(ctx context.Context, req *request) (*logical.Response, error) {
		names, err := c.List(ctx, req.Storage, "")
		if err != nil {
			return nil, err
		}
		return logical.ListResponse(names), nil
	}
}

const help = `
The PKI external CA secrets engine gets certificates from external CAs that speak
ACME (RFC 8555), such as Let's Encrypt, and hands them to applications.

An operator configures accounts at CAs (config/acme-account/) and roles that say
which names may be ordered with which account (role/). An application orders a
certificate through its role (role/<name>/new-order), proves control of the names
by the challenges of the order, and fetches the certificate when it is completed.
`
