package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

var errBroken = errors.New("broken")

// scripted is a storage that counts, fails when told to, and lets a test act in
// the middle of a call: before it has its effect, and after.
type scripted struct {
	logical.InmemStorage
	gets          int
	fail          bool // having written
	before, after func()
}

func (s *scripted) call(effect func() error) error {
	before, after := s.before, s.after
	s.before, s.after = nil, nil
	if before != nil {
		before()
	}
	err := effect()
	if after != nil {
		after()
	}
	if s.fail {
		return errBroken
	}
	return err
}

// Get implements logical.Storage.
func (s *scripted) Get(ctx context.Context, key string) (entry *logical.StorageEntry, err error) {
	s.gets++
	err = s.call(func() (err error) {
		entry, err = s.InmemStorage.Get(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entry, nil
}

// Put implements logical.Storage.
func (s *scripted) Put(ctx context.Context, entry *logical.StorageEntry) error {
	return s.call(func() error { return s.InmemStorage.Put(ctx, entry) })
}

// Delete implements logical.Storage.
func (s *scripted) Delete(ctx context.Context, key string) error {
	return s.call(func() error { return s.InmemStorage.Delete(ctx, key) })
}

// desk is a cache before a scripted storage, at which a test works.
type desk struct {
	t     *testing.T
	cache *Cache
	below *scripted
}

func newDesk(t *testing.T, most int) *desk {
	d := &desk{t, NewCache(most, "a/", "b/").KnowAbsence("a/"), &scripted{}}
	d.cache.Open()
	return d
}

func (d *desk) put(key, value string) error {
	return d.cache.Over(d.below).Put(d.t.Context(), &logical.StorageEntry{Key: key, Value: []byte(value)})
}

func (d *desk) get(key string) string {
	entry, err := d.cache.Over(d.below).Get(d.t.Context(), key)
	switch {
	case err != nil:
		return err.Error()
	case entry == nil:
		return "none"
	}
	return string(entry.Value)
}

func (d *desk) delete(key string) error { return d.cache.Over(d.below).Delete(d.t.Context(), key) }

// expect reads twice: the value, and how often the storage is asked for it.
func (d *desk) expect(value string, gets int, reason string) {
	d.t.Helper()
	before := d.below.gets
	if first, second := d.get("a/x"), d.get("a/x"); first != value || second != value {
		d.t.Errorf("read %q, then %q, want %q (%s)", first, second, value, reason)
	}
	if asked := d.below.gets - before; asked != gets {
		d.t.Errorf("the storage was asked %d times, want %d (%s)", asked, gets, reason)
	}
}

func TestWhatIsRemembered(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		do     func(*desk)
		value  string
		gets   int // of two reads
	}{
		{"what was written is known", func(*desk) {}, "old", 0},
		{"what was deleted is known not to be there", func(d *desk) { _ = d.delete("a/x") }, "none", 0},
		{"and what was not found", func(d *desk) {
			_ = d.below.Delete(d.t.Context(), "a/x")
			d.cache.Invalidate("a/x")
		}, "none", 1},
		{"what was read is known", func(d *desk) { d.cache.Close(); d.cache.Open() }, "old", 1},
		{"a closed cache knows nothing", func(d *desk) { d.cache.Close() }, "old", 2},
		{"the last write counts", func(d *desk) { _ = d.put("a/x", "new") }, "new", 0},
		{"a write that failed may have been one", func(d *desk) {
			d.below.fail = true
			_ = d.put("a/x", "new")
			d.below.fail = false
		}, "new", 2},
		{"and so a deletion", func(d *desk) {
			d.below.fail = true
			_ = d.delete("a/x")
			d.below.fail = false
		}, "none", 2},
		{"until one succeeds", func(d *desk) {
			d.below.fail = true
			_ = d.put("a/x", "new")
			d.below.fail = false
			_ = d.put("a/x", "newer")
		}, "newer", 0},
		{"a write whose failure was told before it was done", func(d *desk) {
			d.below.fail = true
			_ = d.put("a/x", "old")
			d.below.fail = false
			d.get("a/x")
			_ = d.below.Put(d.t.Context(), &logical.StorageEntry{Key: "a/x", Value: []byte("late")})
		}, "late", 2},
		{"somebody else wrote, and said so", func(d *desk) {
			_ = d.below.Put(d.t.Context(), &logical.StorageEntry{Key: "a/x", Value: []byte("foreign")})
			d.cache.Invalidate("a/x")
		}, "foreign", 1},
		{"a failed read teaches nothing", func(d *desk) {
			d.cache.Invalidate("a/x")
			d.below.fail = true
			d.get("a/x")
			d.below.fail = false
		}, "old", 1},
	} {
		d := newDesk(t, 1<<20)
		if err := d.put("a/x", "old"); err != nil {
			t.Fatal(err)
		}
		row.do(d)
		d.expect(row.value, row.gets, row.reason)
	}
}

// TestCallsThatCross: whatever happens in the middle of a call, nothing older than
// the last write that has ended is remembered.
func TestCallsThatCross(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason        string
		before, after func(*desk) // the effect of the call
		call          func(*desk)
		value         string
		gets          int
	}{
		{"written while it was being read", nil, write("new"), read, "new", 0},
		{"invalidated while it was being read", nil, func(d *desk) { d.cache.Invalidate("a/x") }, read, "old", 1},
		{"forgotten and opened anew while it was being read", nil, reopen, read, "old", 1},
		{"deleted while it was being read", nil, func(d *desk) { _ = d.delete("a/x") }, read, "none", 0},
		{"read while it was being written, before", read, nil, write("new"), "new", 0},
		{"read while it was being written, after", nil, read, write("new"), "new", 0},
		{"two write at once, the one around the other before", write("inner"), nil, write("outer"), "outer", 1},
		{"two write at once, the one around the other after", nil, write("inner"), write("outer"), "inner", 1},
		{"invalidated while it was being written", nil, func(d *desk) { d.cache.Invalidate("a/x") }, write("new"), "new", 1},
		{"forgotten and opened anew while it was being written", nil, reopen, write("new"), "new", 1},
	} {
		d := newDesk(t, 1<<20)
		_ = d.put("a/x", "old")
		d.cache.Invalidate("a/x")
		if row.before != nil {
			d.below.before = func() { row.before(d) }
		}
		if row.after != nil {
			d.below.after = func() { row.after(d) }
		}
		row.call(d)
		d.expect(row.value, row.gets, row.reason)
		if n := len(d.cache.busy); n != 0 {
			t.Errorf("%s: %d calls seem to be under way", row.reason, n)
		}
	}
}

func read(d *desk) { d.get("a/x") }

func reopen(d *desk) {
	d.cache.Close()
	d.cache.Open()
}

func write(value string) func(*desk) { return func(d *desk) { _ = d.put("a/x", value) } }

func TestAbsenceIsKnownWhereItIsWanted(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 1<<20)
	for key, gets := range map[string]int{"a/none": 1, "b/none": 2, "c/none": 2} {
		before := d.below.gets
		first, second := d.get(key), d.get(key)
		if asked := d.below.gets - before; first != "none" || second != "none" || asked != gets {
			t.Errorf("of two reads of %s (%q, %q) %d reached the storage, want %d", key, first, second, asked, gets)
		}
	}
}

func TestOnlyTheNamedPrefixesAreRemembered(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 1<<20)
	for key, gets := range map[string]int{"a/x": 0, "b/y/z": 0, "c/x": 2, "ab": 2} {
		if err := d.put(key, "v"); err != nil {
			t.Fatal(err)
		}
		before := d.below.gets
		first, second := d.get(key), d.get(key)
		if asked := d.below.gets - before; first != "v" || second != "v" || asked != gets {
			t.Errorf("of two reads of %s (%q, %q) %d reached the storage, want %d", key, first, second, asked, gets)
		}
	}
}

// TestBeneath: what is read past a cache is not remembered.
func TestBeneath(t *testing.T) {
	t.Parallel()
	inner := &logical.InmemStorage{}
	c := NewCache(1<<20, "fruit/")
	c.Open()
	s := c.Over(inner)
	if err := inner.Put(t.Context(), &logical.StorageEntry{Key: "fruit/pear", Value: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if Beneath(s) != logical.Storage(inner) || Beneath(inner) != logical.Storage(inner) {
		t.Error("what is beneath is another storage")
	}
	if entry, err := Beneath(s).Get(t.Context(), "fruit/pear"); err != nil || entry == nil || len(c.entries) > 0 {
		t.Errorf("%v was read past the cache (%v), which remembers %d records", entry, err, len(c.entries))
	}
}

// TestCacheIsBounded by bytes; the record that was used last stays longest.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const most = 10_000
	d := newDesk(t, most)
	value := strings.Repeat("v", 1_000)
	for i := range 100 {
		_ = d.put(fmt.Sprintf("a/%d", i), value)
		d.get("a/0")
	}
	if d.cache.size > most || len(d.cache.entries) != d.cache.recent.Len() || len(d.cache.entries) < 2 {
		t.Errorf("%d records of %d bytes are remembered, want at most %d bytes", len(d.cache.entries), d.cache.size, most)
	}
	before := d.below.gets
	d.get("a/0")
	d.get("a/99")
	if d.below.gets != before {
		t.Error("the records that were used last are forgotten")
	}
	for i := range 100 { // names that do not exist, which anybody can send
		d.get(fmt.Sprintf("a/none/%d", i))
	}
	if d.cache.size > most || len(d.cache.entries) != d.cache.recent.Len() {
		t.Errorf("%d records of %d bytes are remembered, want at most %d bytes", len(d.cache.entries), d.cache.size, most)
	}
	_ = d.put("a/99", value)
	_ = d.put("a/0", strings.Repeat("v", most))
	if d.get("a/1"); d.cache.entries["a/0"] != nil || d.cache.entries["a/99"] == nil {
		t.Error("a record that is too large takes the place of others")
	}
	d.cache.Close()
	if d.cache.size != 0 || len(d.cache.entries) != 0 || d.cache.recent.Len() != 0 {
		t.Error("a closed cache holds something")
	}
}

// TestSharedRecordsAreDecodedOnce, and again when they have changed.
func TestSharedRecordsAreDecodedOnce(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), newDesk(t, 1<<20)
	s := d.cache.Over(d.below)
	own := Collection[fruit]{Kind: "fruit", Prefix: "a/", Version: 1}
	shared := own
	shared.Shared = true
	if err := own.Put(ctx, s, "pear", &fruit{Name: "pear"}); err != nil {
		t.Fatal(err)
	}
	get := func(c Collection[fruit], from logical.Storage) *fruit {
		rec, err := c.Get(ctx, from, "pear")
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	for _, row := range []struct {
		reason string
		of     Collection[fruit]
		from   logical.Storage
		same   bool
	}{
		{"nobody changes them", shared, s, true},
		{"whoever reads may change", own, s, false},
		{"nobody watches them", shared, d.below, false},
	} {
		if first, second := get(row.of, row.from), get(row.of, row.from); (first == second) != row.same {
			t.Errorf("two reads give the same record: %t, want %t (%s)", first == second, row.same, row.reason)
		}
	}
	if err := shared.Put(ctx, s, "pear", &fruit{Name: "pear", Seeds: 3}); err != nil || get(shared, s).Seeds != 3 {
		t.Errorf("the record that was changed reads %+v (error %v)", get(shared, s), err)
	}
	if _, err := shared.Get(ctx, s, "plum"); !errors.Is(err, ErrNotFound) {
		t.Errorf("what is not there is read with %v", err)
	}
	d.below.fail = true
	if _, err := shared.Get(ctx, s, "fig"); !errors.Is(err, errBroken) {
		t.Errorf("a failing storage is read with %v", err)
	}
}

// TestReadersNeverGoBack: writers write ever greater numbers, each to a key of its
// own; whoever reads sees no number that is less than one written before.
func TestReadersNeverGoBack(t *testing.T) {
	t.Parallel()
	c, below := NewCache(1<<20, "a/"), &logical.InmemStorage{}
	c.Open()
	s := c.Over(below)
	numbers := Collection[int]{Kind: "number", Prefix: "a/", Version: 1}
	var running sync.WaitGroup
	for w := range 4 {
		key := fmt.Sprint(w)
		var mu sync.Mutex
		least := 0
		written := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			least = n
		}
		running.Go(func() {
			for n := 1; n <= 500; n++ {
				if err := numbers.Put(t.Context(), s, key, &n); err == nil {
					written(n)
				}
			}
		})
		running.Go(func() {
			choose := rand.New(rand.NewPCG(uint64(w), 0)) //nolint:gosec // a choice, not a secret
			for range 2_000 {
				mu.Lock()
				floor := least
				mu.Unlock()
				n, err := numbers.Get(t.Context(), s, key)
				if err == nil && *n < floor {
					t.Errorf("read %d after %d was written", *n, floor)
				}
				if choose.IntN(4) == 0 {
					c.Invalidate("a/" + key)
				}
			}
		})
	}
	running.Wait()
}
