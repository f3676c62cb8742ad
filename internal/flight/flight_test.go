package flight

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sky sends requests that take a second each.
type sky struct {
	*Bounds
	mu     sync.Mutex
	flying map[string]int
	peak   map[string]int
	ended  []int
	all    sync.WaitGroup
}

func newSky(most int) *sky {
	return &sky{Bounds: New(most), flying: map[string]int{}, peak: map[string]int{}}
}

func (s *sky) send(ctx context.Context, name string, number int) {
	s.all.Go(func() {
		leave, err := s.Of(name).Enter(ctx)
		if err != nil {
			return
		}
		defer leave()
		s.note(name, 1)
		<-time.After(time.Second)
		s.note(name, -1)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, number)
	})
	synctest.Wait()
}

func (s *sky) note(name string, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying[name] += change
	s.peak[name] = max(s.peak[name], s.flying[name])
}

func (s *sky) underWay(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flying[name]
}

// pass lets time go by.
func (s *sky) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestBoundForEachName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSky(3)
		for n := range 10 {
			s.send(t.Context(), "a", n)
			s.send(t.Context(), "b", n)
		}
		start := time.Now()
		s.all.Wait()
		if s.peak["a"] != 3 || s.peak["b"] != 3 {
			t.Errorf("under way at once were %v, want 3 each", s.peak)
		}
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("ten requests, three at once, took %s, want 4s", took)
		}
		if len(s.of) != 0 {
			t.Errorf("%d names are kept of which nothing is under way", len(s.of))
		}
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSky(1)
		for n := range 5 {
			s.send(t.Context(), "a", n)
		}
		s.all.Wait()
		if !slices.IsSorted(s.ended) {
			t.Errorf("the requests were made in the order %v", s.ended)
		}
	})
}

// TestBoundMayChange holds that it is that of the moment, for those too who have
// been waiting.
func TestBoundMayChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSky(0) // is 1: with none nothing would ever happen
		for n := range 100 {
			s.send(t.Context(), "a", n)
		}
		for _, most := range []int{1, 8, 2, -1} {
			s.SetMost(most)
			s.pass(1500 * time.Millisecond)
			if got := s.underWay("a"); got != max(most, 1) || s.Most() != got {
				t.Errorf("%d are under way, %d are allowed, want %d", got, s.Most(), max(most, 1))
			}
		}
		s.SetMost(1000)
		s.all.Wait()
		if len(s.ended) != 100 {
			t.Errorf("%d of 100 requests were made", len(s.ended))
		}
	})
}

// TestGivingUp holds that who does not wait any more takes no place, even one
// that was given in the same moment.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSky(1)
		s.send(t.Context(), "a", 0)
		ctx, cancel := context.WithCancel(t.Context())
		s.send(ctx, "a", 1)
		s.send(t.Context(), "a", 2)
		cancel()
		if _, err := s.Enter(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		s.all.Wait()
		if !slices.Equal(s.ended, []int{0, 2}) {
			t.Errorf("made were %v, want 0 and 2", s.ended)
		}
		turn := s.queue("a")
		s.giveUp("a", turn) // though it was given
		if len(s.of) != 0 {
			t.Error("a place is lost")
		}
	})
}

// TestLeavingTwice gives no second place away.
func TestLeavingTwice(t *testing.T) {
	t.Parallel()
	b := New(1)
	leave, err := b.Enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	next := b.queue("a")
	leave()
	leave()
	<-next
	if b.of["a"].flying != 1 {
		t.Errorf("%d are under way, want 1", b.of["a"].flying)
	}
}
