package order

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// relay on|off: whether http-01 is answered here from now on.
func (w *world) doRelay(c command) string {
	w.relayOff = c.arg(0) == "off"
	return ""
}

// answers [order=N]: what the relay answers to the CA, as it would after a
// restart too.
func (w *world) doAnswers(c command) string {
	answers := w.load(w.id(c)).Answers()
	var b strings.Builder
	for _, token := range slices.Sorted(maps.Keys(answers)) {
		fmt.Fprintf(&b, "   %s: %s\n", token, answers[token])
	}
	if b.Len() == 0 {
		return "nothing is answered\n"
	}
	return b.String()
}

// checkAnswers holds that what Vault has reported by itself is answered when the
// CA comes to look, with the key that it knows; o is as it is stored.
func (w *world) checkAnswers(o *Order) {
	answers := o.Answers()
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if a.Served == "" || !a.untold() {
			continue
		}
		c := a.Challenge(acme.HTTP01)
		if want := c.Token + "." + w.ca.key; a.Fulfilled != acme.HTTP01 || answers[c.Token] != want {
			w.t.Errorf("the CA is told of %s for %s while %q is answered; want %q", a.Fulfilled, a.Identifier.Value, answers[c.Token], want)
		}
		if strings.HasPrefix(a.Identifier.Value, "*.") {
			w.t.Errorf("%s is left to the relay, which no CA would ask for it", a.Identifier.Value)
		}
	}
}

// served counts the proofs that the relay has given.
func (o *Order) served() (n int) {
	for i := range o.Authorizations {
		if o.Authorizations[i].Served != "" {
			n++
		}
	}
	return n
}
