package order

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// world drives orders as the plugin does: it goes on with the order that it has in
// memory, and stores it after every step after which it is not passing. It checks
// on the way what must hold in every story.
type world struct {
	t      testing.TB
	clock  *clock
	ca     *fakeCA
	other  *fakeCA // of every account but "account"
	dns    *fakeDNS
	safe   *fakeSafe
	claims map[string]ID
	ids    []ID
	stored map[ID][]byte
	memory map[ID]*Order    // what a crash forgets
	dues   map[ID]time.Time // of those that are not final
	// callers holds the keys of those who sent a CSR.
	callers map[ID]crypto.Signer
	// steps counts them; before the result of step crashAt is stored, and of the
	// next one after a crash command, the process dies, and a new one starts from
	// what was stored.
	steps   int
	crashAt int
	dying   bool
	crashed bool
	hurry   int // steps since the clock moved
	onStep  func(from, to State)
	// dull marks the steps that were like the two before them.
	dull   map[int]bool
	kinds  [2]string
	jitter float64
	// relayOff tells that the relay is switched off.
	relayOff bool
}

func newWorld(t testing.TB) *world {
	c := newClock()
	w := &world{
		t: t, clock: c, ca: newFakeCA(t, c), other: newFakeCA(t, c), dns: newFakeDNS(t), claims: map[string]ID{},
		safe:   &fakeSafe{keys: map[ID]crypto.Signer{}, certs: map[ID]*Certificate{}},
		stored: map[ID][]byte{}, memory: map[ID]*Order{}, dues: map[ID]time.Time{}, callers: map[ID]crypto.Signer{}, onStep: func(State, State) {}, dull: map[int]bool{},
	}
	for _, ca := range []*fakeCA{w.ca, w.other} {
		ca.onAnswer, ca.onFinalize = w.beforeAnswer, w.beforeFinalize
	}
	w.dns.onAdd = w.beforeAdd
	return w
}

// add stores a new order for names.
func (w *world) add(names ...string) *Order {
	n := len(w.ids) + 1
	id, err := ParseID(fmt.Sprintf("019b76da-a800-7000-8000-%012d", n))
	if err != nil {
		w.t.Fatal(err)
	}
	o := New(id, "role", "account", w.clock.now())
	o.KeyKind, o.Population, o.Allowed = keys.EC256, CNFirst, acme.ChallengeTypes
	for _, name := range names {
		kind := acme.DNS
		if _, err := netip.ParseAddr(name); err == nil {
			kind = acme.IP
		}
		o.Identifiers = append(o.Identifiers, Identifier{name, acme.Identifier{Type: kind, Value: name}})
	}
	w.ids = append(w.ids, id)
	w.save(o)
	return o
}

func (w *world) save(o *Order) {
	raw, err := json.Marshal(o)
	if err != nil {
		w.t.Fatalf("the order cannot be stored: %v", err)
	}
	w.stored[o.ID] = raw
	w.plan(o)
}

// plan notes when an order is due.
func (w *world) plan(o *Order) {
	if delete(w.dues, o.ID); !o.Final() {
		w.dues[o.ID] = o.Due
	}
}

// keep stores an order after a step, unless that can wait.
func (w *world) keep(o *Order) {
	w.memory[o.ID] = o
	if o.Passing(w.clock.now()) {
		w.plan(o)
		return
	}
	if w.save(o); o.Due.After(w.clock.now()) {
		delete(w.memory, o.ID)
	}
}

// change stores an order that somebody else has changed.
func (w *world) change(o *Order) {
	delete(w.memory, o.ID)
	w.save(o)
}

// recall gives an order as whoever works on it has it.
func (w *world) recall(id ID) *Order {
	if o := w.memory[id]; o != nil {
		return o
	}
	return w.load(id)
}

func (w *world) load(id ID) *Order {
	var o Order
	if err := json.Unmarshal(w.stored[id], &o); err != nil {
		w.t.Fatal(err)
	}
	return &o
}

func (w *world) env() Env {
	return Env{
		Now: w.clock.now, Jitter: func() float64 { return w.jitter },
		CA: w.ca, Safe: w.safe, DNS: w.dns, Claim: w.claim,
		Relaying: func() bool { return !w.relayOff },
	}
}

// envOf is what an order touches: the CA of its account.
func (w *world) envOf(o *Order) Env {
	env := w.env()
	if o.Account != "account" {
		env.CA = w.other
	}
	return env
}

func (w *world) claim(url string, id ID) ID {
	if holder, taken := w.claims[url]; taken {
		return holder
	}
	w.claims[url] = id
	return id
}

// restart forgets what only memory knew.
func (w *world) restart() {
	clear(w.claims)
	clear(w.memory)
	for _, id := range w.ids {
		o := w.load(id)
		w.plan(o)
		if o.URL != "" && !o.Final() {
			w.claims[o.URL] = id
		}
	}
}

// advance takes one step with an order.
func (w *world) advance(id ID) *Order {
	if w.steps++; w.steps == w.crashAt || w.dying {
		w.crashed, w.dying = w.crashed || w.steps == w.crashAt, false
		o := w.recall(id)
		Advance(context.Background(), w.envOf(o), o) // and the process dies
		w.restart()
	}
	o := w.recall(id)
	before := o.State
	if !Advance(context.Background(), w.envOf(o), o) {
		w.t.Fatalf("order %s in state %s was not advanced", id, o.State)
	}
	w.checkStep(before, o)
	w.onStep(before, o.State)
	kind := fmt.Sprint(id, before, o.State, o.LastError)
	w.dull[w.steps] = kind == w.kinds[0] && kind == w.kinds[1]
	w.kinds = [2]string{w.kinds[1], kind}
	w.keep(o)
	if o.Final() {
		w.checkEnd(o)
	}
	return o
}

// checkStep holds every step to the table, and to an end in finite time.
func (w *world) checkStep(before State, o *Order) {
	failed := o.State == StateError || o.State == StateExpired
	if !failed && o.State != before && !slices.Contains(Life[before].Next, o.State) {
		w.t.Errorf("went from %s to %s", before, o.State)
	}
	if o.Final() != o.Due.IsZero() {
		w.t.Errorf("order in state %s is due %s", o.State, o.Due)
	}
	if !o.Final() && o.Due.After(o.Deadline.Add(time.Second)) {
		w.t.Errorf("order in state %s is due %s, after its deadline %s", o.State, o.Due, o.Deadline)
	}
	if last := o.Created.Add(longestPatience + graceAfterCSR + time.Hour); o.Deadline.After(last) {
		w.t.Errorf("the deadline has moved to %s", o.Deadline)
	}
	const most = 40
	if w.hurry++; w.hurry > most {
		w.t.Fatalf("more than %d steps while the clock stands still; order %s in state %s, last error %q", most, o.ID, o.State, o.LastError)
	}
}

// checkEnd looks at what a final order has come to.
func (w *world) checkEnd(o *Order) {
	if w.claims[o.URL] == o.ID {
		delete(w.claims, o.URL)
	}
	w.collect(o)
	if (o.State == StateError || o.State == StateExpired) && o.LastError == "" {
		w.t.Errorf("order %s is %s without a reason", o.ID, o.State)
	}
	if o.State != StateCompleted {
		return
	}
	cert, key := w.safe.certs[o.ID], w.safe.keys[o.ID]
	if o.RequestCSR != "" {
		key = w.callers[o.ID]
	}
	if cert == nil || key == nil {
		w.t.Fatalf("order %s is completed without certificate or key", o.ID)
	}
	leaf := parseCertificate(w.t, cert.DER())
	if !keys.Same(leaf.PublicKey, key.Public()) {
		w.t.Errorf("order %s: the certificate is for another key than the one that is kept", o.ID)
	}
	if !namesAll(leaf, o.identifiers()) || o.Serial != FormatSerial(leaf.SerialNumber) {
		w.t.Errorf("order %s: the certificate is for %v, serial %s", o.ID, leaf.DNSNames, o.Serial)
	}
}

// beforeFinalize holds that key and CSR are stored when the CA gets them.
func (w *world) beforeFinalize(csr []byte) {
	for _, id := range w.ids {
		o := w.load(id)
		if !slices.Equal(o.CSR, csr) {
			continue
		}
		if o.RequestCSR == "" && !certifies(w.t, csr, w.safe.keys[id]) {
			w.t.Errorf("the CSR of order %s is sent, but its key is not kept", id)
		}
		return
	}
	w.t.Errorf("a CSR is sent that is not stored")
}

// due gives the order that is due first, if it is by the given time.
func (w *world) due(by time.Time) (id ID, found bool) {
	var first time.Time
	for _, candidate := range w.ids {
		at, waiting := w.dues[candidate]
		if waiting && !at.After(by) && (!found || at.Before(first)) {
			id, first, found = candidate, at, true
		}
	}
	if found && first.After(w.clock.now()) {
		w.hurry = 0
		w.clock.forwardTo(first)
	}
	return id, found
}

// fulfill reports a challenge as the plugin does, and wakes the order.
func (w *world) fulfill(id ID, name string, t acme.ChallengeType) error {
	o := w.load(id)
	before := o.State
	if err := o.Fulfill(name, t, w.clock.now()); err != nil {
		return err
	}
	if w.change(o); o.State != before {
		w.onStep(before, o.State)
	}
	return nil
}

// fakeSafe keeps things in memory.
type fakeSafe struct {
	keys  map[ID]crypto.Signer
	certs map[ID]*Certificate
	// failures is how many of the next calls fail, half of them after the effect.
	failures int
}

var errSafe = errors.New("storage is away")

func (s *fakeSafe) fail() error {
	if s.failures == 0 {
		return nil
	}
	s.failures--
	return errSafe
}

// Key implements Safe.
func (s *fakeSafe) Key(_ context.Context, id ID) (crypto.Signer, error) {
	if err := s.fail(); err != nil {
		return nil, err
	}
	if key := s.keys[id]; key != nil {
		return key, nil
	}
	return nil, ErrNoKey
}

// KeepKey implements Safe.
func (s *fakeSafe) KeepKey(_ context.Context, id ID, key crypto.Signer) error {
	if s.failures%2 == 0 {
		s.keys[id] = key
	}
	return s.fail()
}

// KeepCertificate implements Safe.
func (s *fakeSafe) KeepCertificate(_ context.Context, o *Order, c *Certificate) error {
	if s.failures%2 == 0 {
		s.certs[o.ID] = c
	}
	return s.fail()
}
