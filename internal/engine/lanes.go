package engine

import (
	"container/heap"
	"container/list"
)

// Lane is where a key waits for its turn once it is due.
type Lane struct {
	// Line is who is waited for. Its keys are worked on so many at once
	// ([Config.Most]), and lines take turns.
	Line string
	// Share is who asks. Within a line the shares take turns, and within a share
	// goes first what was due first.
	Share string
}

// lines hold the keys that are due. Those without keys are forgotten.
type lines struct {
	most   func(line string) int
	byName map[string]*line
	turns  *list.List // of lines that may go on
}

// line is the keys that are due and wait for one and the same.
type line struct {
	name    string
	byName  map[string]*share
	turns   *list.List // of shares
	running int
	inTurn  bool // among the lines that may go on
}

// share is the keys of a line that one and the same asks for.
type share struct {
	name string
	keys queue
}

func newLines(most func(string) int) lines {
	return lines{most: most, byName: map[string]*line{}, turns: list.New()}
}

func (l *lines) add(at *entry) {
	in := l.byName[at.lane.Line]
	if in == nil {
		in = &line{name: at.lane.Line, byName: map[string]*share{}, turns: list.New()}
		l.byName[in.name] = in
	}
	in.add(at)
	l.admit(in)
}

func (in *line) add(at *entry) {
	of := in.byName[at.lane.Share]
	if of == nil {
		of = &share{name: at.lane.Share}
		in.byName[of.name] = of
		in.turns.PushBack(of)
	}
	heap.Push(&of.keys, at)
}

// full tells that no more keys of a line may be worked on.
func (l *lines) full(in *line) bool { return in.running >= max(l.most(in.name), 1) }

// admit puts a line at the end of those that may go on, if it may.
func (l *lines) admit(in *line) {
	if !in.inTurn && in.turns.Len() > 0 && !l.full(in) {
		in.inTurn = true
		l.turns.PushBack(in)
	}
}

// take gives the next key of the next share of the next line, or nil when no
// line may go on.
func (l *lines) take() *entry {
	for first := l.turns.Front(); first != nil; first = l.turns.Front() {
		in := l.turns.Remove(first).(*line)
		in.inTurn = false
		if l.full(in) { // since it was admitted
			continue
		}
		in.running++
		at := in.take()
		l.admit(in)
		return at
	}
	return nil
}

func (in *line) take() *entry {
	of := in.turns.Remove(in.turns.Front()).(*share)
	at := heap.Pop(&of.keys).(*entry)
	if len(of.keys) > 0 {
		in.turns.PushBack(of)
	} else {
		delete(in.byName, of.name)
	}
	return at
}

// leave notes that a key of a line is no longer worked on.
func (l *lines) leave(name string) {
	in := l.byName[name]
	in.running--
	if in.running == 0 && in.turns.Len() == 0 {
		delete(l.byName, name)
		return
	}
	l.admit(in)
}

// reconsider admits lines that may work on more keys than before.
func (l *lines) reconsider() {
	for _, in := range l.byName {
		l.admit(in)
	}
}
