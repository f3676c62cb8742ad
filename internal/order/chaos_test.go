package order

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// chaos is a CA, a storage and a process that fail at random, but the same way
// with the same seed.
type chaos struct {
	*world
	*rand.Rand
}

var verbs = []string{"newOrder", "authorization", "answer", "order", "finalize", "certificate"}

func (c chaos) maybe(percent int) bool { return c.IntN(100) < percent }

// setup picks what kind of CA it is.
func (c chaos) setup() {
	r := &c.ca.rules
	pick := func(from ...time.Duration) time.Duration { return from[c.IntN(len(from))] }
	r.validation, r.issuance = pick(0, 0, time.Second, time.Minute, 30*time.Hour), pick(0, 0, time.Second, 3*time.Hour)
	r.retryAfter = pick(0, 0, time.Second, time.Hour, 200*time.Hour)
	r.orderLife, r.authzLife = pick(0, 2*time.Hour, 48*time.Hour), pick(0, time.Hour, 48*time.Hour)
	r.valid, r.reuse, r.noAuthz = c.maybe(20), c.maybe(30), c.maybe(5)
	r.twice, r.lingering, r.badCN = c.maybe(5), c.maybe(10), c.maybe(20)
	r.noFinalize, r.noCertURL = c.maybe(10), c.maybe(5)
	r.leaf = leafRules{otherKey: c.maybe(3), expired: c.maybe(3), empty: c.maybe(3)}
	c.jitter = c.Float64()
	for _, name := range chaosNames {
		if c.maybe(80) {
			terms := Terms{pick(time.Minute, time.Hour, 100*time.Hour), pick(time.Second, time.Minute)}
			c.dns.allow([]string{"rfc2136/one", "cloudflare/two"}[c.IntN(2)], []string{name}, "", terms)
		}
	}
	c.dns.slow = c.IntN(3)
}

// disturb lets something go wrong, or right again.
func (c chaos) disturb() {
	switch c.IntN(20) {
	case 0:
		c.ca.down = !c.ca.down
	case 1, 2, 3:
		c.ca.faults = append(c.ca.faults, fault{verb: verbs[c.IntN(len(verbs))], lost: true})
	case 4, 5, 6:
		c.ca.faults = append(c.ca.faults, fault{verb: verbs[c.IntN(len(verbs))], err: c.failure()})
	case 7:
		c.safe.failures = c.IntN(4)
	case 8, 9:
		c.crashAt = c.steps + 1
	case 10:
		c.force(&c.ca.orders, []acme.Status{"", "", acme.StatusPending, acme.StatusReady, acme.StatusProcessing, acme.StatusInvalid})
	case 11:
		c.ca.rules.noCertURL, c.ca.rules.noFinalize = false, false
	default:
		c.disturbDNS()
	}
}

func (c chaos) disturbDNS() {
	switch verb := dnsVerbs[c.IntN(len(dnsVerbs))]; c.IntN(6) {
	case 0:
		c.dns.down = !c.dns.down
	case 1:
		c.dns.faults = append(c.dns.faults, fault{verb: verb, lost: true})
	case 2:
		c.dns.faults = append(c.dns.faults, fault{verb: verb, err: Postpone(errors.New("slow down"), time.Hour)})
	case 3:
		c.dns.slow = c.IntN(30)
	case 4:
		c.do(newCommand([]string{"account", []string{"available", "unavailable"}[c.IntN(2)]}))
	case 5:
		c.relayOff = c.maybe(30)
		c.ca.key = fmt.Sprint("key", c.IntN(3))
	}
}

// failure is one that may pass; it costs nobody an order.
func (c chaos) failure() error {
	all := []error{
		problem(503, "serverInternal", "busy"), problem(500, "", "oops"), problem(429, "rateLimited", "slow"),
		&acme.Problem{Status: 503, RetryAfter: time.Hour}, &acme.Unreachable{Doing: "asking", Err: errors.New("cut off")},
		problem(403, "orderNotReady", "not yet"), problem(404, "malformed", "where?"), errSafe,
	}
	return all[c.IntN(len(all))]
}

func (c chaos) force(orders *[]*caOrder, statuses []acme.Status) {
	for _, o := range *orders {
		o.forced = statuses[c.IntN(len(statuses))]
	}
}

// report reports every challenge that can be, and some that Vault would see to.
func (c chaos) report(id ID) {
	o := c.load(id)
	if o.State != StateAwaiting {
		return
	}
	for i := range o.Authorizations {
		if c.load(id).State != StateAwaiting {
			return // that was the last report
		}
		if o.Authorizations[i].own() != "" && c.maybe(90) {
			continue
		}
		value := o.Authorizations[i].Identifier.Value
		if err := c.fulfill(id, value, acme.DNS01); err != nil && !errors.Is(err, ErrNotPending) {
			c.t.Errorf("reporting %s: %v", value, err)
		}
	}
}

var chaosNames = []string{"www.example.com", "*.example.com", "example.com"}

// TestChaos lets everything go wrong that can. Whatever happens, every order
// comes to an end, with a reason; one that is completed has the certificate of
// its key; no key is lost that was certified; nothing is asked in a hurry; no
// order gets the CSRs of two keys; no challenge is answered before its proof was
// seen; and no record is left. The world checks all that at every step.
func TestChaos(t *testing.T) {
	t.Parallel()
	ends := map[State]int{}
	proven, relayed := 0, 0
	for seed := range uint64(100) {
		c := chaos{newWorld(t), rand.New(rand.NewPCG(seed, 8555))}
		c.setup()
		o := c.add(chaosNames...)
		o.Relay = c.maybe(50)
		c.save(o)
		id := o.ID
		for range 60 {
			if c.maybe(25) {
				c.disturb()
			}
			next, found := c.due(start.Add(2 * longestPatience))
			if !found {
				break
			}
			c.advance(next)
			if c.maybe(50) {
				c.report(id)
			}
		}
		c.ca.down, c.ca.locked, c.safe.failures, c.ca.faults = false, nil, 0, nil
		c.dns.down, c.dns.faults = false, nil
		c.force(&c.ca.orders, []acme.Status{""})
		c.end()
		c.checkRecords()
		o = c.load(id)
		proven += len(o.Proofs())
		relayed += o.served()
		ends[o.State]++
		if len(c.ca.requests) > 3000 {
			t.Errorf("seed %d: %d requests", seed, len(c.ca.requests))
		}
		if t.Failed() {
			t.Fatalf("seed %d: ended as %s: %s", seed, o.State, o.LastError)
		}
	}
	for _, s := range []State{StateCompleted, StateExpired, StateError} {
		if ends[s] < 5 {
			t.Errorf("of all orders only %d ended as %s; the test is about too little: %v", ends[s], s, ends)
		}
	}
	if proven < 50 {
		t.Errorf("only %d proofs were written", proven)
	}
	if relayed < 5 {
		t.Errorf("only %d proofs were given by the relay", relayed)
	}
}
