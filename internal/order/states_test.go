package order

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestLifeIsClosed holds the table of states together: every state is reached,
// leads somewhere or is final, and says what is true of an order in it.
func TestLifeIsClosed(t *testing.T) {
	t.Parallel()
	if len(States) != len(Life) {
		t.Errorf("%d states are listed, %d are described", len(States), len(Life))
	}
	for s, at := range Life {
		if !slices.Contains(States, s) {
			t.Errorf("state %q is not listed", s)
		}
		for _, next := range at.Next {
			if _, known := Life[next]; !known {
				t.Errorf("state %q leads to %q, which is not described", s, next)
			}
			if next == s {
				t.Errorf("state %q lists itself: staying is always allowed", s)
			}
		}
		final := at.step == nil
		if final != (len(at.Next) == 0) || final != (at.Does == "") {
			t.Errorf("state %q has a step, a description of it and a way on, or none of them: %+v", s, at)
		}
		if at.Status == "" || at.Means == "" || at.Stored.Because == "" {
			t.Errorf("state %q does not say what it is, and whether it is stored", s)
		}
		if final && !at.Stored.First {
			t.Errorf("state %q is the end of an order, and not stored", s)
		}
	}
}

func TestEveryStateIsReached(t *testing.T) {
	t.Parallel()
	// Failure and time lead to these from every state, a caller's wish to revoked.
	reached := map[State]bool{StateNew: true, StateError: true, StateExpired: true, StateRevoked: true}
	for found := true; found; {
		found = false
		for s := range reached {
			for _, next := range Life[s].Next {
				found = found || !reached[next]
				reached[next] = true
			}
		}
	}
	for _, s := range States {
		if !reached[s] {
			t.Errorf("no way leads to %q", s)
		}
	}
}

// ways is which of the ways in the table stories have taken.
type ways struct {
	mu    sync.Mutex
	taken map[[2]State]bool
	told  int
}

func (w *ways) take(from, to State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken[[2]State{from, to}] = true
}

// check holds that the stories go every way that the table allows.
func (w *ways) check(t *testing.T) {
	t.Helper()
	for _, s := range States {
		if Life[s].step == nil {
			continue
		}
		for _, next := range append([]State{StateError, StateExpired}, Life[s].Next...) {
			if !w.taken[[2]State{s, next}] {
				t.Errorf("no story goes from %s to %s", s, next)
			}
		}
	}
}

const statesFile = "../../docs/states.md"

// TestStatesDocument holds docs/states.md to the table of states.
func TestStatesDocument(t *testing.T) {
	t.Parallel()
	want := statesDocument()
	if *update {
		if err := os.WriteFile(statesFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(statesFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/states.md is not what the table of states says; run go test ./internal/order -update")
	}
}

func statesDocument() string {
	var b strings.Builder
	b.WriteString(`# The states of an order

This page is made from the table of states in ` + "`internal/order/life.go`" + `; after a change there run
` + "`go test ./internal/order -update`" + `.

An order is in one of these states. Where nothing else is said the step is taken at once; while it has to
wait, ` + "`next_work_date`" + ` tells until when and ` + "`last_error`" + ` why.

The table says whether an order that has entered a state is stored before the step is taken. In the other
states it is stored when a step has failed, or has to wait longer than ` + fmt.Sprint(briefly) + `, or leads on to a state that is
stored; until then it is shown as it was stored last.

Every state that is not final also leads to ` + "`error`" + `, when the CA refuses, and to ` + "`expired`" + `, when the order
has run out of time.

`)
	b.WriteString(statesDiagram())
	b.WriteString("\n| state as stored | `order_status` | what is true | what is done | stored before that | next |\n|---|---|---|---|---|---|\n")
	for _, s := range States {
		at := Life[s]
		next := make([]string, len(at.Next))
		for i, n := range at.Next {
			next[i] = "`" + string(n) + "`"
		}
		does := "It " + at.Does + "."
		if at.step == nil {
			does, next = "Nothing: this state is final.", []string{"–"}
		}
		stored := "no: "
		if at.Stored.First {
			stored = "yes: "
		}
		stored += at.Stored.Because
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s |\n", s, at.Status, at.Means, does, stored, strings.Join(next, ", "))
	}
	b.WriteString("\n`status` is `order_status` with underscores in place of the hyphens.\n")
	return b.String()
}

func statesDiagram() string {
	name := func(s State) string { return strings.ReplaceAll(string(s), "-", "_") }
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> new\n")
	for _, s := range States {
		if name(s) != string(s) {
			fmt.Fprintf(&b, "    state %q as %s\n", s, name(s))
		}
	}
	for _, s := range States {
		for _, next := range Life[s].Next {
			fmt.Fprintf(&b, "    %s --> %s\n", name(s), name(next))
		}
	}
	b.WriteString("    completed --> revoked: a caller revokes the certificate\n    completed --> [*]\n    revoked --> [*]\n```\n")
	return b.String()
}
