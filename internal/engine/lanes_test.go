package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// office is work that takes a second, unless who is waited for is dead. Keys are
// named like their lane, "line/share/number", and are worked on once.
type office struct {
	*Engine

	mu    sync.Mutex
	most  map[string]int // by line; 2 unless it says otherwise
	dead  map[string]bool
	now   map[string]int // at work, by line
	peak  map[string]int
	ended []string
}

func newOffice(workers int) *office {
	o := &office{most: map[string]int{}, dead: map[string]bool{}, now: map[string]int{}, peak: map[string]int{}}
	o.Engine = New(Config{Workers: workers, Most: o.mostOf, Now: time.Now, Work: o.work})
	return o
}

func (o *office) mostOf(line string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, set := o.most[line]; set {
		return n
	}
	return 2
}

func (o *office) work(ctx context.Context, key string, in Lane) (time.Time, Lane) {
	o.begin(in.Line)
	if o.dead[in.Line] {
		<-ctx.Done()
	}
	<-time.After(time.Second)
	o.end(in.Line, key)
	return time.Time{}, in
}

func (o *office) begin(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now[line]++
	o.peak[line] = max(o.peak[line], o.now[line])
}

func (o *office) end(line, key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now[line]--
	o.ended = append(o.ended, key)
}

// ask makes so many keys of a lane due at once.
func (o *office) ask(lane string, keys int) {
	line, share, _ := strings.Cut(lane, "/")
	for n := range keys {
		o.Schedule(fmt.Sprintf("%s/%d", lane, n), Lane{Line: line, Share: share}, time.Time{})
	}
}

// after is how many keys had been worked on when the last of a lane was.
func (o *office) after(lane string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := -1
	for i, key := range o.ended {
		if strings.HasPrefix(key, lane) {
			last = i
		}
	}
	return last
}

// TestLinesTakeTurns: with workers for two keys in all, who has few keys is done
// soon, however many others have asked for before.
func TestLinesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(2)
		o.ask("busy/a", 100)
		defer run(o.Engine)()
		pass(time.Second / 2)
		o.ask("idle/a", 3)
		pass(time.Hour)
		if done := o.after("idle"); done < 3 || done > 10 {
			t.Errorf("3 keys of a line were done after %d others, want them to take turns with the busy line", done)
		}
	})
}

// TestSharesTakeTurns: the same within a line.
func TestSharesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(100)
		o.ask("ca/a", 100)
		o.ask("ca/b", 10)
		defer run(o.Engine)()
		pass(time.Second / 2)
		o.ask("ca/c", 1)
		pass(time.Hour)
		if done := o.after("ca/c"); done > 6 {
			t.Errorf("the key of a new share was done after %d others", done)
		}
		if done := o.after("ca/b"); done > 25 {
			t.Errorf("10 keys of a share were done after %d others", done)
		}
		if o.peak["ca"] != 2 {
			t.Errorf("%d keys of the line were worked on at once, want 2", o.peak["ca"])
		}
	})
}

// TestADeadLineHoldsUpNobody: who never answers keeps as many workers as its
// line may have, and the others do the work of all others.
func TestADeadLineHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(8)
		for _, line := range []string{"dead1", "dead2", "dead3"} {
			o.dead[line] = true
			o.ask(line+"/a", 50)
		}
		o.ask("alive/a", 20)
		stop := run(o.Engine)
		pass(10 * time.Second)
		if done := o.after("alive"); done != 19 {
			t.Errorf("%d of 20 keys are done in the time that they take two workers", done+1)
		}
		for _, line := range []string{"dead1", "dead2", "dead3", "alive"} {
			if o.peak[line] != 2 {
				t.Errorf("%s had %d workers, want 2", line, o.peak[line])
			}
		}
		stop()
	})
}

// TestMostMayChange holds that a line's bound is that of the moment.
func TestMostMayChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(100)
		o.ask("ca/a", 1000)
		defer run(o.Engine)()
		for _, most := range []int{2, 7, 1, 30, 0} {
			o.mu.Lock()
			o.most["ca"] = most
			o.mu.Unlock()
			o.Reconsider()
			pass(time.Second) // what was begun under the old bound ends
			o.mu.Lock()
			o.peak["ca"] = 0
			o.mu.Unlock()
			pass(3 * time.Second)
			if o.peak["ca"] != max(most, 1) {
				t.Errorf("%d keys were worked on at once, want %d", o.peak["ca"], max(most, 1))
			}
		}
	})
}

// TestWorkChangesLanes: the work knows best who is to be waited for next. A key
// that nobody knows waits in the zero lane, and one that is known in its own,
// whatever a wake-up or another Schedule says.
func TestWorkChangesLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		e := New(Config{
			Workers: 2, Most: func(string) int { return 1 }, Now: time.Now,
			Work: func(_ context.Context, _ string, in Lane) (time.Time, Lane) {
				l.add(in.Line + "/" + in.Share)
				switch in.Line {
				case "":
					return time.Now(), Lane{"ca", "web"}
				case "ca":
					return in1h(), Lane{"dns", "web"}
				}
				return time.Time{}, in
			},
		})
		defer run(e)()
		e.Wake("a")
		pass(time.Minute)
		e.Wake("a")
		pass(time.Minute)
		e.Schedule("b", Lane{"ca", "other"}, in1h())
		e.Schedule("b", Lane{"dns", "none"}, time.Time{})
		pass(24 * time.Hour)
		l.check(t, "/ 0s", "ca/web 0s", "dns/web 1m0s", "ca/other 2m0s", "dns/web 1h2m0s")
	})
}

func in1h() time.Time { return in(time.Hour) }

// TestWakingAKeyThatIsInLine changes nothing: its turn comes.
func TestWakingAKeyThatIsInLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(1)
		o.ask("ca/a", 3)
		defer run(o.Engine)()
		pass(time.Second / 2)
		o.Wake("ca/a/2")
		o.Schedule("ca/a/2", Lane{}, in(-time.Hour))
		pass(time.Hour)
		slices.Sort(o.ended)
		if want := []string{"ca/a/0", "ca/a/1", "ca/a/2"}; !slices.Equal(o.ended, want) {
			t.Errorf("worked on %q, want %q", o.ended, want)
		}
	})
}

// TestIdleLinesAreForgotten holds that lines which come and go leave nothing.
func TestIdleLinesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(10)
		defer run(o.Engine)()
		for n := range 1000 {
			o.ask(fmt.Sprintf("line%d/a", n), 3)
		}
		pass(time.Hour)
		if n := len(o.due.byName) + o.due.turns.Len() + o.Len(); n != 0 {
			t.Errorf("%d lines and keys are kept", n)
		}
		if len(o.ended) != 3000 {
			t.Errorf("%d keys were worked on, want 3000", len(o.ended))
		}
	})
}
