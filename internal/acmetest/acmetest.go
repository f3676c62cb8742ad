// Package acmetest is what tests run against instead of a public CA.
//
//   - [Pebble] is Let's Encrypt's small CA, in process: it keeps to RFC 8555 and
//     checks every signature and every challenge.
//   - [Responder] answers the challenges: a web server, a TLS server and a DNS
//     server in which every name is at home on 127.0.0.1.
//   - [CA] is both, wired together, and what most tests want.
//   - [Script] is a fake CA for hostile behaviour that Pebble will not show: it
//     issues properly until a test overrides one resource.
//
// Everything listens on 127.0.0.1 on ports of the system's choice, so tests run
// in parallel, and ends with the test that started it. Only tests import this
// package.
package acmetest

import (
	"bytes"
	"log"
	"sync"
	"testing"
)

// TestCA is a CA together with the servers on which it validates challenges.
type TestCA struct {
	*PebbleServer
	*ResponderServer
}

// CA starts a Pebble that validates every challenge at a responder of its own.
func CA(t testing.TB, opts ...Option) *TestCA {
	t.Helper()
	responder := Responder(t)
	opts = append([]Option{ValidateAt(responder)}, opts...)
	return &TestCA{PebbleServer: Pebble(t, opts...), ResponderServer: responder}
}

// journalSize bounds what is kept of a server's log, in bytes.
const journalSize = 64 << 10

// journal keeps the latest of a server's log, to be shown if the test fails.
// Servers write from goroutines that outlive the test, which t.Log forbids.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// newLogger gives a logger whose lines appear in the test's output only when
// the test has failed.
func newLogger(t testing.TB, prefix string) *log.Logger {
	j := &journal{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s's log:\n%s", prefix, j)
		}
	})
	return log.New(j, prefix+": ", 0)
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.text.Len()+len(p) > journalSize {
		j.text.Reset()
	}
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
