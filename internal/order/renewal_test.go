package order

import (
	"context"
	"slices"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// picky is a CA that refuses orders which replace a certificate.
type picky struct {
	CA
	refusal error
	asked   []string // what each newOrder was to replace
}

// NewOrder implements CA.
func (p *picky) NewOrder(ctx context.Context, wish acme.NewOrder) (acme.Order, error) {
	p.asked = append(p.asked, wish.Replaces)
	if wish.Replaces != "" && p.refusal != nil {
		return acme.Order{}, p.refusal
	}
	return p.CA.NewOrder(ctx, wish)
}

// TestReplaces holds that what a CA has against the replacement of a certificate
// (RFC 9773 §5) stands in the way of no renewal, and that nothing else makes us
// forget what is replaced.
func TestReplaces(t *testing.T) {
	t.Parallel()
	problem := func(status int, kind string) error { return &acme.Problem{Status: status, Type: acme.Namespace + kind} }
	for _, test := range []struct {
		refusal error
		asked   []string
		state   State
		reason  string
	}{
		{nil, []string{"aki.serial"}, StateSubmitted, "the CA knows what is replaced"},
		{problem(409, "alreadyReplaced"), []string{"aki.serial", ""}, StateSubmitted, "another order of ours, left by a crash, replaces it"},
		{problem(409, "conflict"), []string{"aki.serial", ""}, StateSubmitted, "the same as an earlier draft has it"},
		{problem(404, "malformed"), []string{"aki.serial", ""}, StateSubmitted, "the CA has lost the certificate"},
		{problem(403, "unauthorized"), []string{"aki.serial", ""}, StateSubmitted, "the CA takes it for another account's"},
		{problem(500, "serverInternal"), []string{"aki.serial"}, StateNew, "a fault says nothing about the certificate"},
		{problem(429, "rateLimited"), []string{"aki.serial"}, StateNew, "without it the limit would be stricter"},
		{problem(400, "accountDoesNotExist"), []string{"aki.serial"}, StateError, "an order for nothing would not help"},
		{problem(403, "userActionRequired"), []string{"aki.serial"}, StateError, "likewise"},
		{&acme.Unreachable{Doing: "newOrder", Err: context.DeadlineExceeded}, []string{"aki.serial"}, StateNew, "nothing is known"},
	} {
		w := newWorld(t)
		o := w.add("www.example.com")
		o.Replaces = "aki.serial"
		ca := &picky{CA: w.ca, refusal: test.refusal}
		env := w.env()
		env.CA = ca
		Advance(t.Context(), env, o)
		if !slices.Equal(ca.asked, test.asked) || o.State != test.state {
			t.Errorf("%v: asked to replace %q, order is %s; want %q, %s: %s", test.refusal, ca.asked, o.State, test.asked, test.state, test.reason)
		}
		if kept := o.Replaces != ""; kept != (len(test.asked) == 1) {
			t.Errorf("%v: still replaces %q: %s", test.refusal, o.Replaces, test.reason)
		}
	}
}

func TestKeyOfAnEarlierOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, third := w.add("a.example.com"), w.add("a.example.com"), w.add("a.example.com")
	old, err := first.key(t.Context(), w.env())
	if err != nil {
		t.Fatal(err)
	}
	second.KeyFrom = first.ID
	again, err := second.key(t.Context(), w.env())
	if err != nil || !keys.Same(old.Public(), again.Public()) || w.safe.keys[second.ID] == nil {
		t.Errorf("the key of the earlier order is not used, or not stored with the new one: %v", err)
	}
	third.KeyFrom = "019b76da-a800-7000-8000-999999999999"
	fresh, err := third.key(t.Context(), w.env())
	if err != nil || keys.Same(old.Public(), fresh.Public()) {
		t.Errorf("an order whose predecessor's key is gone gets no new one: %v", err)
	}
}
