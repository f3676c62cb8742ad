package order

import (
	"fmt"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// TestRequests holds how often a CA is asked: 4+2n times for n names when it
// does its work at once, and once more for each poll while it does not.
func TestRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		names  int
		rules  func(*rules)
		want   int
		reason string
	}{
		{1, func(*rules) {}, 6, "newOrder, authorization, answer, order, finalize, certificate"},
		{2, func(*rules) {}, 8, "an authorization and an answer for each name, nothing else"},
		{25, func(*rules) {}, 54, "the order is polled, not each authorization"},
		{1, func(r *rules) { r.valid = true }, 3, "no authorization is read of an order that is ready"},
		{100, func(r *rules) { r.valid = true }, 3, "however many there are"},
		{3, func(r *rules) { r.validation = 100 * time.Millisecond }, 12, "two polls, after 40 and 120 ms"},
		{1, func(r *rules) { r.issuance = 100 * time.Millisecond }, 9, "three reads of the processing order: the answer to finalize is none of them"},
		{1, func(r *rules) { r.validation, r.retryAfter = time.Hour, time.Hour }, 7, "one poll, when the CA wanted it"},
	} {
		w := newWorld(t)
		test.rules(&w.ca.rules)
		var names []string
		for n := range test.names {
			names = append(names, fmt.Sprintf("www%d.example.com", n))
		}
		o := w.add(names...)
		w.doRun(newCommand([]string{"run"}))
		if w.load(o.ID).State == StateAwaiting {
			for _, name := range names {
				if err := w.fulfill(o.ID, name, acme.HTTP01); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.end()
		w.checkOnce()
		if state := w.load(o.ID).State; state != StateCompleted || len(w.ca.requests) != test.want {
			t.Errorf("%d names: %s after %d requests, want %d (%s): %v", test.names, state, len(w.ca.requests), test.want, test.reason, w.ca.requests)
		}
	}
}

// TestRequestsToDNS holds that nobody is asked for more than three things for
// each name when all goes well, and the CA for nothing in addition.
func TestRequestsToDNS(t *testing.T) {
	t.Parallel()
	for _, names := range []int{1, 25} {
		w := newWorld(t)
		var all []string
		for n := range names {
			all = append(all, fmt.Sprintf("www%d.example.com", n))
		}
		w.dns.allow("rfc2136/internal", all, "", usual)
		o := w.add(all...)
		w.end()
		if state := w.load(o.ID).State; state != StateCompleted || len(w.ca.requests) != 4+2*names || len(w.dns.asked) != 3*names {
			t.Errorf("%d names: %s after %v and %v", names, state, w.ca.requests, w.dns.asked)
		}
	}
}
