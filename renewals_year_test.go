package pkiexternalca

import (
	"cmp"
	"container/heap"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

var (
	certificatesOfYear = flag.Int("year.certificates", 1000, "how many certificates TestYear keeps renewed")
	plotOfYear         = flag.Bool("year.plot", false, "whether TestYear writes what it has seen into docs/renewal.md")
)

// span is a time of the simulated year, in days from its beginning.
type span struct{ from, to float64 }

func (s span) holds(d time.Duration) bool {
	return d >= inDays(s.from) && d < inDays(s.to)
}

func inDays(d float64) time.Duration { return time.Duration(d * float64(day)) }

// What goes wrong in the year. Vault is away for a day and a half, and for an
// evening; the CA does not answer, so that its orders wait, or refuses all orders.
var (
	nodesAway  = []span{{100, 101.5}, {205.25, 205.5}}
	caSilent   = []span{{150, 152}}
	caRefuses  = []span{{250, 251}}
	newLeaders = []float64{120, 300}
)

const (
	yearLength = 365 * day
	// issuedWithin is how long it takes until all certificates have been ordered.
	issuedWithin = 60 * day
	lifeInYear   = 90 * day
)

// year is a simulated one: the code that renews, over a storage in memory, with a
// clock that jumps to what is due next. What the CA and the work on an order have
// to do with each other is reduced to when the order ends, and how.
type year struct {
	t       *testing.T
	b       *backend
	storage logical.Storage
	start   time.Time
	now     time.Time
	random  *rand.Rand
	events  events
	// terms counts the leaders. What was scheduled by one before means nothing.
	terms int
	lanes map[string]engine.Lane
	ends  map[string]time.Time // of the certificates that are served
	seen  map[order.ID]bool

	perDay, perHour       map[int]int
	orders, failed, dated int
	least                 time.Duration // that was left of a certificate when it was replaced
}

// event is something that is due: the end of an order, or else a look at a standing.
type event struct {
	at    time.Time
	path  string
	order order.ID
	term  int
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func newYear(t *testing.T) *year {
	start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	y := &year{
		t: t, storage: &logical.InmemStorage{}, start: start, now: start, random: rand.New(rand.NewPCG(1, 2)),
		lanes: map[string]engine.Lane{}, ends: map[string]time.Time{}, seen: map[order.ID]bool{},
		perDay: map[int]int{}, perHour: map[int]int{}, least: lifeInYear,
	}
	y.lead()
	y.must(accounts.Put(t.Context(), y.storage, "ca", &account.Account{Name: "ca"}))
	y.must(roles.Put(t.Context(), y.storage, "web", y.role()))
	return y
}

func (y *year) role() *role {
	return &role{
		Name: "web", Account: "ca", Domains: []string{"*.example.com"}, Options: []domainmatch.Option{domainmatch.Globs}, KeyKind: "ec-256",
		renewalWishes: renewalWishes{AutoRenew: true, RenewUnusedFor: 10 * yearLength}, Created: y.start,
	}
}

func (y *year) must(err error) {
	if err != nil {
		y.t.Helper()
		y.t.Fatal(err)
	}
}

// lead begins the work of another leader, who looks at everything.
func (y *year) lead() {
	y.b = newBackend(func() time.Time { return y.now })
	y.b.jitter = y.random.Float64
	y.must(y.b.Setup(y.t.Context(), &logical.BackendConfig{System: &host{}}))
	y.terms++
	for _, path := range slices.Sorted(maps.Keys(y.ends)) {
		y.lanes[path] = engine.Lane{Line: firstLook}
		y.schedule(event{at: y.now, path: path})
	}
}

func (y *year) schedule(e event) {
	e.term = y.terms
	heap.Push(&y.events, e)
}

func (y *year) since() time.Duration { return y.now.Sub(y.start) }

func (y *year) within(spans []span) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.holds(y.since()) })
}

// run takes the year from one event to the next.
func (y *year) run(certificates int) {
	for n := range certificates {
		y.schedule(event{at: y.start.Add(time.Duration(y.random.Float64() * float64(issuedWithin))), path: fmt.Sprintf("new %d", n)})
	}
	changes := append([]float64{}, newLeaders...)
	for _, away := range nodesAway {
		changes = append(changes, away.to)
	}
	slices.Sort(changes)
	for len(y.events) > 0 {
		e := heap.Pop(&y.events).(event)
		if len(changes) > 0 && !e.at.Before(y.start.Add(inDays(changes[0]))) {
			y.now = y.start.Add(inDays(changes[0]))
			changes = changes[1:]
			y.lead()
			heap.Push(&y.events, e)
			continue
		}
		if e.at.Sub(y.start) >= yearLength {
			break
		}
		y.now = e.at
		y.happen(e)
	}
	y.now = y.start.Add(yearLength)
}

func (y *year) happen(e event) {
	switch _, served := y.ends[e.path]; {
	case e.order != "":
		y.end(e)
	case !served:
		y.begin(e.path)
	case e.term == y.terms && !y.within(nodesAway):
		y.look(e.path)
	}
}

// begin orders the first certificate for a name.
func (y *year) begin(name string) {
	var n int
	_, err := fmt.Sscanf(name, "new %d", &n)
	y.must(err)
	ctx := y.t.Context()
	draft, _, err := y.b.draft(ctx, y.storage, wish{role: y.role(), identifiers: []string{fmt.Sprintf("n%d.example.com", n)}})
	y.must(err)
	_, _, err = y.b.join(ctx, y.storage, draft, joining{})
	y.must(err)
	path, err := currentPath(draft)
	y.must(err)
	y.lanes[path] = engine.Lane{Line: renewLine}
	y.place(path, draft.ID)
}

// look has a certificate looked after until nothing is due.
func (y *year) look(path string) {
	lane := y.lanes[path]
	next := y.b.tend(y.t.Context(), y.storage, path, &lane)
	for !next.IsZero() && !next.After(y.now) {
		next = y.b.tend(y.t.Context(), y.storage, path, &lane)
	}
	y.lanes[path] = lane
	if !next.IsZero() {
		y.schedule(event{at: next, path: path})
	}
	at, err := readStanding(y.t.Context(), y.storage, path)
	y.must(err)
	if at.Live != "" && !y.seen[at.Live] {
		y.place(path, at.Live)
	}
}

// place counts a new order and has it end a little later.
func (y *year) place(path string, id order.ID) {
	y.seen[id] = true
	y.orders++
	y.perDay[int(y.since()/day)]++
	y.perHour[int(y.since()/time.Hour)]++
	y.schedule(event{at: y.now.Add(2 * time.Minute), path: path, order: id})
}

// end ends an order as the CA is disposed, once somebody is there to see it.
func (y *year) end(e event) {
	if y.within(nodesAway) || y.within(caSilent) {
		e.at = y.now.Add(10 * time.Minute)
		y.schedule(e)
		return
	}
	if y.within(caRefuses) {
		y.failed++
		y.must(y.b.changeOrder(y.t.Context(), y.storage, e.order, func(o *order.Order) error {
			o.State, o.LastError, o.Updated, o.Due = order.StateError, "the CA refuses", y.now, time.Time{}
			return nil
		}))
	} else {
		y.certify(e)
	}
	y.schedule(event{at: y.now, path: e.path})
}

func (y *year) certify(e event) {
	ctx := y.t.Context()
	o, err := orders.Get(ctx, y.storage, orderPath(e.order))
	y.must(err)
	cert := &order.Certificate{NotBefore: y.now, NotAfter: y.now.Add(lifeInYear)}
	y.must(y.b.hasCertificate(ctx, y.storage, o, cert))
	y.must(y.b.renewedBy(ctx, y.storage, o))
	y.must(y.b.changeOrder(ctx, y.storage, e.order, func(o *order.Order) error {
		o.State, o.Updated, o.Due = order.StateCompleted, y.now, time.Time{}
		o.NotBefore, o.NotAfter = cert.NotBefore, cert.NotAfter
		return nil
	}))
	if ends, served := y.ends[e.path]; served {
		y.least = min(y.least, ends.Sub(y.now))
		if !ends.After(y.now) {
			y.dated++
		}
	}
	y.ends[e.path] = cert.NotAfter
}

// TestYear is a year of certificates: Vault and the CA are away for days, and
// leaders change. No certificate is served past its end, hardly any order is made
// that a year without trouble would not have made, and no trouble is followed by a
// storm.
func TestYear(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	y.run(*certificatesOfYear)
	for path, ends := range y.ends {
		if !ends.After(y.now) {
			t.Errorf("the certificate of %s has ended at %s", path, ends)
		}
	}
	if y.dated > 0 {
		t.Errorf("%d certificates were served past their end", y.dated)
	}
	figures := y.figures()
	if excess := figures.excess(); excess > 5 {
		t.Errorf("%d orders are %.1f %% more than the %d of a year without trouble", y.orders, excess, figures.minimum)
	}
	// In the hour after Vault was away for 36 hours there are those of 37, and less
	// than half as much again by chance.
	if limit := figures.perDay*37/24*3/2 + 20; figures.hour > limit {
		t.Errorf("%d orders in one hour, want no more than %d", figures.hour, limit)
	}
	t.Logf("%+v", figures)
	if *plotOfYear {
		y.plot(figures)
	}
}

// figures are what there is to say of a year.
type figures struct {
	certificates, orders, failed int
	// minimum is how many orders a year takes if each certificate is renewed after
	// two thirds of its life, to the second.
	minimum int
	// perDay is the usual number of orders on a day, day and hour are the largest.
	perDay, day, hour int
	least             time.Duration
}

func (y *year) figures() figures {
	f := figures{certificates: len(y.ends), orders: y.orders, failed: y.failed, least: y.least.Round(time.Hour)}
	const interval = lifeInYear / 3 * 2
	f.perDay = len(y.ends) / int(interval/day)
	f.minimum = len(y.ends) * int(yearLength/time.Hour) / int(interval/time.Hour)
	f.day, f.hour = largest(y.perDay), largest(y.perHour)
	return f
}

func (f figures) excess() float64 { return float64(f.orders-f.minimum) / float64(f.minimum) * 100 }

func largest[K cmp.Ordered](counts map[K]int) int {
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	return most
}
