package order

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// fakeCA is a CA in memory. It keeps to RFC 8555 strictly (a challenge that was
// answered and an order that has its CSR are refused the second time) unless
// its rules say otherwise, and knows no time but the clock's.
type fakeCA struct {
	t     testing.TB
	clock *clock
	rules rules
	down  bool
	// faults are used up one by one, each by the next request of its verb.
	faults []fault
	orders []*caOrder
	authzs []*caAuthz
	// requests is the verb of each request so far.
	requests []string
	// answers counts, for each challenge, how often it was posted.
	answers map[string]int
	// key is the thumbprint of the account's key; locked is why there is none.
	key    string
	locked error
	// computed leads from digests to the key authorizations that were made.
	computed map[string]string
	// csrKeys holds the key of the first CSR that was sent for each order.
	csrKeys map[string]crypto.PublicKey
	// onAnswer and onFinalize check what must be true before the CA is told.
	onAnswer   func(url string)
	onFinalize func(csr []byte)
}

// rules are what a CA may decide for itself.
type rules struct {
	offers     []acme.ChallengeType
	valid      bool          // authorizations are valid from the beginning
	validation time.Duration // from the last answer to valid
	issuance   time.Duration // from the CSR to the certificate
	retryAfter time.Duration // with every order that is read
	orderLife  time.Duration // 0: not told
	authzLife  time.Duration // 0: not told
	reuse      bool          // the same names get the same unfinished order
	reuseValid bool          // and even one that is valid
	skew       time.Duration // how much later it is by the CA's clock
	extra      string        // proof of a name that was not ordered
	twice      bool          // two authorizations for each name
	noAuthz    bool          // none at all
	renamed    string        // the order is for this name instead
	replaced   bool          // other authorizations with each read
	noFinalize bool          // the URL is told only when the order is read
	noCertURL  bool          // a valid order does not name its certificate
	seesaw     bool          // the order reads ready and pending in turn
	noToken    bool          // dns-01 challenges have no token
	lingering  bool          // a failed validation leaves the order pending
	badCN      bool          // a CSR with a common name is badCSR
	failing    map[string]*acme.Problem
	leaf       leafRules
	alternates string // names of the issuers of the alternate chains
}

// fault is what happens to one request. A lost one has its effect, but nobody
// hears of it. So many requests pass before.
type fault struct {
	verb  string
	err   error
	lost  bool
	after int
}

type caOrder struct {
	url         string
	identifiers []acme.Identifier
	authzs      []*caAuthz
	expires     time.Time
	csr         []byte
	finalized   time.Time
	forced      acme.Status
	problem     *acme.Problem
	deleted     bool
	chain       [][]byte
	reads       int
}

type caAuthz struct {
	url      string
	of       acme.Identifier
	wildcard bool
	valid    bool
	expires  time.Time
	answered acme.ChallengeType
	at       time.Time
	forced   acme.Status
}

var _ CA = (*fakeCA)(nil)

func newFakeCA(t testing.TB, c *clock) *fakeCA {
	return &fakeCA{
		t: t, clock: c, key: "thumbprint", computed: map[string]string{}, answers: map[string]int{}, csrKeys: map[string]crypto.PublicKey{},
		rules: rules{offers: acme.ChallengeTypes, orderLife: 7 * 24 * time.Hour, authzLife: 7 * 24 * time.Hour},
	}
}

// KeyAuthorization is no request: it is computed.
func (ca *fakeCA) KeyAuthorization(token string) (string, error) {
	if ca.locked != nil {
		return "", ca.locked
	}
	keyAuth := token + "." + ca.key
	ca.computed[digest(keyAuth)] = keyAuth
	return keyAuth, nil
}

// explain gives what was digested.
func (ca *fakeCA) explain(value string) string {
	if keyAuth, known := ca.computed[value]; known {
		return keyAuth
	}
	return "nothing known"
}

// serve lets a request meet its fault, or else has its effect.
func (ca *fakeCA) serve(verb, url string, effect func() error) error {
	ca.requests = append(ca.requests, verb)
	unreachable := func(why string) error {
		return &acme.Unreachable{Doing: verb + " " + url, Err: errors.New(why)}
	}
	if ca.down {
		return unreachable("connection refused")
	}
	f, found := takeFault(&ca.faults, verb)
	switch {
	case !found:
		return effect()
	case f.lost:
		_ = effect() // whatever came of it is lost too
		return unreachable("connection reset before the answer")
	}
	return f.err
}

func problem(status int, kind, detail string, args ...any) error {
	return &acme.Problem{Status: status, Type: acme.Namespace + kind, Detail: fmt.Sprintf(detail, args...)}
}

// NewOrder implements CA.
func (ca *fakeCA) NewOrder(_ context.Context, wish acme.NewOrder) (at acme.Order, err error) {
	err = ca.serve("newOrder", "https://ca/new-order", func() error {
		o := ca.reusable(wish.Identifiers)
		if o == nil {
			o = ca.makeOrder(wish.Identifiers)
		}
		at = ca.show(o)
		at.URL = o.url
		if ca.rules.noFinalize {
			at.Finalize = ""
		}
		return nil
	})
	return at, err
}

func (ca *fakeCA) reusable(ids []acme.Identifier) *caOrder {
	for _, o := range ca.orders {
		status := ca.status(o)
		usable := ca.rules.reuse && status != acme.StatusInvalid && status != acme.StatusValid || ca.rules.reuseValid && status == acme.StatusValid
		if usable && !o.deleted && slices.Equal(o.identifiers, ids) {
			return o
		}
	}
	return nil
}

func (ca *fakeCA) makeOrder(ids []acme.Identifier) *caOrder {
	o := &caOrder{url: fmt.Sprintf("https://ca/order/%d", len(ca.orders)+1), identifiers: ids}
	if ca.rules.renamed != "" {
		o.identifiers = []acme.Identifier{{Type: acme.DNS, Value: ca.rules.renamed}}
	}
	if ca.rules.orderLife != 0 {
		o.expires = ca.clock.now().Add(ca.rules.orderLife)
	}
	proofs := slices.Clone(ids)
	if ca.rules.twice {
		proofs = append(proofs, ids...)
	}
	if ca.rules.extra != "" {
		proofs = append(proofs, acme.Identifier{Type: acme.DNS, Value: ca.rules.extra})
	}
	if ca.rules.noAuthz {
		proofs = nil
	}
	// Their order means nothing (RFC 8555 §7.1.3), and here it is another one.
	for _, id := range slices.Backward(proofs) {
		o.authzs = append(o.authzs, ca.makeAuthz(id))
	}
	ca.orders = append(ca.orders, o)
	return o
}

func (ca *fakeCA) makeAuthz(id acme.Identifier) *caAuthz {
	bare, wildcard := strings.CutPrefix(id.Value, "*.")
	a := &caAuthz{
		url: fmt.Sprintf("https://ca/authz/%d", len(ca.authzs)+1),
		of:  acme.Identifier{Type: id.Type, Value: bare}, wildcard: wildcard, valid: ca.rules.valid,
	}
	if ca.rules.authzLife != 0 {
		a.expires = ca.clock.now().Add(ca.rules.authzLife)
	}
	ca.authzs = append(ca.authzs, a)
	return a
}

// status works out where an order is (RFC 8555 §7.1.6).
func (ca *fakeCA) status(o *caOrder) acme.Status {
	now := ca.clock.now()
	switch {
	case o.forced != "":
		return o.forced
	case ca.rules.seesaw:
		return []acme.Status{acme.StatusReady, acme.StatusPending}[o.reads%2]
	case len(o.csr) > 0 && now.Sub(o.finalized) < ca.rules.issuance:
		return acme.StatusProcessing
	case len(o.csr) > 0:
		return acme.StatusValid
	case !o.expires.IsZero() && now.After(o.expires):
		return acme.StatusInvalid
	}
	for _, a := range o.authzs {
		switch ca.authzStatus(a) {
		case acme.StatusValid:
		case acme.StatusPending:
			return acme.StatusPending
		default:
			if ca.rules.lingering {
				return acme.StatusPending
			}
			return acme.StatusInvalid
		}
	}
	return acme.StatusReady
}

func (ca *fakeCA) authzStatus(a *caAuthz) acme.Status {
	now := ca.clock.now()
	switch {
	case a.forced != "":
		return a.forced
	case a.valid:
		return acme.StatusValid
	case !a.expires.IsZero() && now.After(a.expires):
		return acme.StatusExpired
	case a.answered == "" || now.Sub(a.at) < ca.rules.validation:
		return acme.StatusPending
	case ca.rules.failing[a.of.Value] != nil:
		return acme.StatusInvalid
	}
	return acme.StatusValid
}

func (ca *fakeCA) show(o *caOrder) acme.Order {
	at := acme.Order{
		Status: ca.status(o), Expires: ca.told(o.expires), Identifiers: o.identifiers, Finalize: o.url + "/finalize",
		Error: o.problem, RetryAfter: ca.rules.retryAfter,
	}
	for _, a := range o.authzs {
		at.Authorizations = append(at.Authorizations, a.url)
	}
	o.reads++
	if ca.rules.replaced && o.reads > 1 {
		at.Authorizations = []string{"https://ca/authz/other"}
	}
	if at.Status == acme.StatusValid && !ca.rules.noCertURL {
		at.Certificate = o.url + "/certificate"
	}
	return at
}

// told is a time by the CA's clock.
func (ca *fakeCA) told(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-ca.rules.skew)
}

func (ca *fakeCA) find(url string) (*caOrder, error) {
	for _, o := range ca.orders {
		if strings.HasPrefix(url+"/", o.url+"/") && !o.deleted {
			return o, nil
		}
	}
	return nil, problem(404, "malformed", "no such order")
}
