package order

import (
	"crypto"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

var update = flag.Bool("update", false, "rewrite the transcripts and docs/states.md; only commit the changes if you understand what caused them")

// stories lists the scripts. An empty list would pass every test.
func stories(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no scripts in testdata (%v)", err)
	}
	return paths
}

func storyName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".txt") }

// tell runs a story and gives the script with what happened.
func tell(w *world, s script) script {
	told := script{rest: s.rest}
	for _, b := range s.blocks {
		var out strings.Builder
		for _, c := range b.commands() {
			out.WriteString(w.do(c))
		}
		told.blocks = append(told.blocks, block{b.text, out.String()})
	}
	return told
}

// TestTranscripts holds the life of orders to the scripts in testdata, which
// are its specification.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	all := ways{taken: map[[2]State]bool{}}
	paths := stories(t)
	t.Run("all", func(t *testing.T) {
		for _, path := range paths {
			t.Run(storyName(path), func(t *testing.T) {
				t.Parallel()
				testTranscript(t, path, &all)
			})
		}
	})
	if all.told == len(paths) { // and not only some of them
		all.check(t)
	}
}

func testTranscript(t *testing.T, path string, all *ways) {
	s := readScript(t, path)
	w := newWorld(t)
	w.onStep = all.take
	told := tell(w, s)
	w.checkOnce()
	w.checkRecords()
	all.mu.Lock()
	all.told++
	all.mu.Unlock()
	if *update {
		if err := os.WriteFile(path, []byte(told.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, b := range told.blocks {
		if b.expect != s.blocks[i].expect {
			t.Errorf("%s\nhappened:\n%s\nexpected:\n%s", strings.TrimSpace(b.text), b.expect, s.blocks[i].expect)
		}
	}
}

// checkOnce holds that no challenge was posted twice, which would ask for
// another validation (RFC 8555 §8.2).
func (w *world) checkOnce() {
	for url, n := range w.ca.answers {
		if n > 1 {
			w.t.Errorf("%s was posted %d times", url, n)
		}
	}
}

// TestCrashAtEveryStep tells each story over and over, and each time the
// process dies at another step: after what it did outside, before the order is
// stored. What completes without a crash must complete with it, and no record is
// left in DNS. Of many polls in a row, which are all alike, it dies at the first
// two.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, path := range stories(t) {
		t.Run(storyName(path), func(t *testing.T) {
			t.Parallel()
			s := readScript(t, path)
			calm := newWorld(t)
			tell(calm, s)
			completed := calm.completed()
			if len(completed) == 0 && !calm.announced() {
				return
			}
			for n := 1; n <= calm.steps; n++ {
				if calm.dull[n] {
					continue
				}
				w := newWorld(t)
				w.crashAt = n
				tell(w, s)
				w.end()
				w.checkAfterCrash(completed)
				w.checkRecords()
			}
		})
	}
}

// completed lists the orders that are.
func (w *world) completed() (out []ID) {
	for _, id := range w.ids {
		if w.load(id).State == StateCompleted {
			out = append(out, id)
		}
	}
	return out
}

func (w *world) checkAfterCrash(completed []ID) {
	if !w.crashed {
		w.t.Errorf("crash %d: the story ended before", w.crashAt)
	}
	for _, id := range completed {
		if o := w.load(id); o.State != StateCompleted {
			w.t.Errorf("crash %d: order %s ended as %s: %s", w.crashAt, id, o.State, o.LastError)
		}
	}
	for _, o := range w.ca.orders {
		if len(o.csr) > 0 && !w.keeps(o.csr) {
			w.t.Errorf("crash %d: the CA certified a key that is lost", w.crashAt)
		}
	}
}

// keeps tells whether the key of a CSR is still to be had.
func (w *world) keeps(csr []byte) bool {
	for _, id := range w.ids {
		if certifies(w.t, csr, w.safe.keys[id]) || certifies(w.t, csr, w.callers[id]) {
			return true
		}
	}
	return false
}

func certifies(t testing.TB, csr []byte, key crypto.Signer) bool {
	t.Helper()
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	return key != nil && keys.Same(request.PublicKey, key.Public())
}

func parseCertificate(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(fmt.Errorf("a certificate was stored that cannot be read: %w", err))
	}
	return cert
}
