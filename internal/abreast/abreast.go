// Package abreast does a few like things at the same time.
package abreast

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// Do calls do for each number from 0 up to n, so many at once; one at a time, in
// order, if the limit is less than two. After a failure it begins nothing more,
// and waits for what has begun. It returns the error of the least number that
// failed, and passes a panic on to the caller, who may know how to survive it,
// with the stack on which it came up.
func Do(n, limit int, do func(i int) error) error {
	if limit < 2 || n < 2 {
		return inOrder(n, do)
	}
	r := run{n: n, errs: make([]error, n), do: do}
	var running sync.WaitGroup
	for range min(n, limit) {
		running.Go(r.work)
	}
	running.Wait()
	if r.fault != "" {
		panic(r.fault)
	}
	for _, err := range r.errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func inOrder(n int, do func(int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// run is one call of [Do].
type run struct {
	n    int
	errs []error
	do   func(int) error

	mu    sync.Mutex
	next  int
	ended bool // nothing more is begun
	fault string
}

func (r *run) work() {
	defer func() {
		if fault := recover(); fault != nil {
			r.end(fmt.Sprintf("%v\n%s", fault, debug.Stack()))
		}
	}()
	for i, ok := r.take(); ok; i, ok = r.take() {
		if r.errs[i] = r.do(i); r.errs[i] != nil {
			r.end("")
		}
	}
}

// take gives what is next, false when nothing is.
func (r *run) take() (i int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i = r.next
	r.next++
	return i, i < r.n && !r.ended
}

func (r *run) end(fault string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if fault != "" {
		r.fault = fault
	}
}
