package pkiexternalca

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// What may be left of fifty mounts and a thousand orders: what the runtime, the
// CA's server and the tests keep for themselves. One goroutine, descriptor, or a few
// kilobytes left by every mount is more than that.
const (
	mostGoroutinesLeft  = 20
	mostDescriptorsLeft = 20
	mostBytesLeft       = 8 << 20
)

// TestNothingIsLeftBehind mounts and unmounts the engine fifty times, with twenty
// orders each, half of which are under way when it goes. It is not parallel, so that
// it counts what is its own.
func TestNothingIsLeftBehind(t *testing.T) {
	cycle := func(n int) { t.Run(fmt.Sprint(n), mountAndOrder) }
	for n := range 5 {
		cycle(n) // what is made once
	}
	goroutines, descriptors, bytes := runtime.NumGoroutine(), openDescriptors(t), heapInUse()
	for n := range 50 {
		cycle(5 + n)
	}
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines+mostGoroutinesLeft })
	eventually(t, "the connections to be closed", func() bool { return openDescriptors(t) <= descriptors+mostDescriptorsLeft })
	eventually(t, "the memory to be free", func() bool { return heapInUse() <= bytes+mostBytesLeft })
}

// mountAndOrder is the life of one mount, at a CA of its own, which would remember
// everything otherwise.
func mountAndOrder(t *testing.T) {
	m, _ := withFakeCA(t)
	m.withRole(nil)
	var done []string
	for n := range 10 {
		done = append(done, m.order(fields{"identifiers": fmt.Sprintf("done%d.example.com", n)}))
		m.order(fields{"identifiers": fmt.Sprintf("waiting%d.example.com", n)})
	}
	for _, id := range done {
		m.report(id)
	}
	for _, id := range done {
		m.awaitStatus("web", id, "completed")
	}
	stopped := m.b.lifecycle.stopped
	m.unmount()
	eventually(t, "the work to end", func() bool { return isClosed(stopped) })
}

// openDescriptors counts what the process has open.
func openDescriptors(t testing.TB) int {
	t.Helper()
	for _, folder := range []string{"/proc/self/fd", "/dev/fd"} {
		if open, err := os.ReadDir(folder); err == nil {
			return len(open)
		}
	}
	t.Log("this machine does not tell what is open")
	return 0
}
