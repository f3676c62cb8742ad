package watch_test

import (
	"fmt"
	"sync"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/watch"
)

// told tells whether a notice is there.
func told(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	var h watch.Hub
	h.Notify("nobody watches this")
	a, stopA, _ := h.Watch("x", 10)
	b, stopB, _ := h.Watch("x", 10)
	other, stopOther, _ := h.Watch("y", 10)
	h.Notify("x")
	h.Notify("x")
	if !told(a) || !told(b) {
		t.Error("somebody who watches was not told")
	}
	if told(a) || told(other) {
		t.Error("somebody was told twice, or of another thing")
	}
	stopA()
	stopA()
	h.NotifyAll()
	if told(a) || !told(b) || !told(other) {
		t.Error("not just those who still watch were told")
	}
	stopB()
	stopOther()
	if n := h.Len(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	var h watch.Hub
	_, stop, _ := h.Watch("x", 2)
	h.Watch("y", 2)
	if _, _, ok := h.Watch("x", 2); ok {
		t.Error("there are more watchers than may be")
	}
	stop()
	stop()
	if _, _, ok := h.Watch("x", 2); !ok {
		t.Error("a place that became free is not given away")
	}
	if _, _, ok := h.Watch("z", 2); ok {
		t.Error("one place was given away twice")
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var h watch.Hub
	var running sync.WaitGroup
	for i := range 100 {
		key := fmt.Sprint(i % 7)
		running.Go(func() {
			changed, stop, ok := h.Watch(key, 100)
			defer stop()
			if !ok {
				t.Error("there is no place")
			}
			h.Notify(key)
			<-changed
		})
	}
	running.Wait()
	if n := h.Len(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}
