package pkiexternalca

import (
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// reads counts what a storage was asked for.
func (c *countedStorage) reads() int64  { return c.gets.Load() + c.lists.Load() }
func (c *countedStorage) writes() int64 { return c.puts.Load() + c.deletes.Load() }

// TestTidyCostsWhatIsDue: orders that cannot go yet cost nothing once their hour
// was looked through, however many there are, and one that goes costs the same
// among many as alone.
func TestTidyCostsWhatIsDue(t *testing.T) {
	t.Parallel()
	for _, many := range []int64{1, 5_000} {
		m := atRest(newMount(t, later(0)))
		keepCopies(m, past{made: 100 * day, state: order.StateCompleted, ended: 100 * day, notAfter: -day}.keep(m), int(many))
		first := m.costOfTidying()
		const hour = 4 // reads: its name, the policy, its mark, its orders
		steps := many/tidyStep + 1
		if first.reads() > hour+steps+many || first.writes() != 1 {
			t.Errorf("to look through %d orders takes %d reads, and %d writes", many, first.reads(), first.writes())
		}
		if again := m.costOfTidying(); again.reads() > 3 || again.writes() > 0 {
			t.Errorf("to find nothing due among %d orders takes %d reads and %d writes", many, again.reads(), again.writes())
		}
		m = atRest(mountOn(t, m.storage, later(40*day)))
		gone := m.costOfTidying()
		if gone.reads() > hour+steps+6*many || gone.writes() > 1+5*many {
			t.Errorf("to delete %d orders takes %d reads and %d writes", many, gone.reads(), gone.writes())
		}
		if left := storedKeys(t, m.storage); len(left) > 0 {
			t.Errorf("of %d orders %d records are left", many, len(left))
		}
	}
}

// costOfTidying looks at all hours once.
func (m *mount) costOfTidying() *countedStorage {
	m.t.Helper()
	counted := &countedStorage{Storage: m.storage}
	if _, err := m.tidy(counted); err != nil {
		m.t.Fatal(err)
	}
	return counted
}

// keepCopies stores as many orders as said that are like one, which is among them,
// and were made in the same hour.
func keepCopies(m *mount, like *order.Order, many int) {
	m.t.Helper()
	cert, err := certificates.Get(m.t.Context(), m.storage, orderPath(like.ID))
	if err != nil {
		m.t.Fatal(err)
	}
	for range many - 1 {
		o, c := *like, *cert
		o.ID = idAt(m.t, like.ID.Time())
		o.Serial = serialOf(o.ID)
		c.Serial = o.Serial
		for _, err := range []error{
			orders.Put(m.t.Context(), m.storage, orderPath(o.ID), &o),
			certificates.Put(m.t.Context(), m.storage, orderPath(o.ID), &c),
			orderKeys.Put(m.t.Context(), m.storage, orderPath(o.ID), &storedKey{Key: "a key"}),
			serials.Put(m.t.Context(), m.storage, serialPath(o.Serial), &reference{Order: o.ID}),
		} {
			if err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// TestTidyFollowsTheClock: an hour that begins while the engine runs is looked at
// when it is time, though nobody lists the hours again.
func TestTidyFollowsTheClock(t *testing.T) {
	t.Parallel()
	m := atRest(newMount(t))
	storage := &countedStorage{Storage: m.storage}
	clock := time.Date(2030, 1, 1, 10, 30, 0, 0, time.UTC)
	m.b.now = func() time.Time { return clock }
	work := &tidying{b: m.b, s: storage, followed: clock}
	work.engine = m.b.newTidying(storage)
	next, err := work.look(t.Context(), newHours)
	if want := clock.Add(30 * time.Minute); err != nil || !next.Equal(want) {
		t.Errorf("the next look is at %s (%v), want %s", next, err, want)
	}
	known := work.engine.Len()
	clock = clock.Add(3 * time.Hour)
	if _, err := work.look(t.Context(), newHours); err != nil || work.engine.Len() != known+3 {
		t.Errorf("after three hours there are %d keys, were %d (%v)", work.engine.Len(), known, err)
	}
	if n := storage.reads(); n > 0 {
		t.Errorf("which took %d reads", n)
	}
	open := order.HourOf(clock)
	if next, err := work.look(t.Context(), open); err != nil || !next.After(clock) {
		t.Errorf("an hour that may still get orders is looked at again at %s (%v)", next, err)
	}
	if err := orderHours.Put(t.Context(), m.storage, open, &hourMark{}); err != nil {
		t.Fatal(err)
	}
	next, err = work.look(t.Context(), open)
	if want := clock.Truncate(time.Hour).Add(7 * day); err != nil || !next.Equal(want) {
		t.Errorf("an hour with orders is looked at again at %s (%v), want %s", next, err, want)
	}
}
