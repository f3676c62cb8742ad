package order

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

var dnsVerbs = []string{"locate", "add", "look", "terms"}

// provider LABEL NAME... [at=RECORD] [timeout=D] [interval=D]: from now on the
// proofs of the names are written with the provider.
func (w *world) doProvider(c command) string {
	terms := Terms{
		Timeout:  cmp.Or(c.duration("timeout"), usual.Timeout),
		Interval: cmp.Or(c.duration("interval"), usual.Interval),
	}
	w.dns.allow(c.arg(0), c.args[1:], c.options["at"], terms)
	return ""
}

// dns [down] [up] [slow=N] [deleted=LABEL]: how DNS behaves from now on. When it
// is slow a new record is looked for N times in vain; up ends all that hinders.
func (w *world) doDNS(c command) string {
	switch c.arg(0) {
	case "down":
		w.dns.down = true
	case "up":
		w.dns.down, w.dns.faults = false, nil
	}
	w.dns.slow = c.number("slow", w.dns.slow)
	if label, ok := c.options["deleted"]; ok {
		w.dns.deleted[label] = true
	}
	return ""
}

// hinder VERB why="..." [final] [wait=D] [times=N] [after=N]: the next requests
// of the verb to DNS fail, or those after some that do not.
func (w *world) doHinder(c command) string {
	err := errors.New(c.options["why"])
	if c.arg(1) == "final" {
		err = Refuse("%w", err)
	}
	if d := c.duration("wait"); d > 0 {
		err = Postpone(err, d)
	}
	for range c.number("times", 1) {
		w.dns.faults = append(w.dns.faults, fault{verb: c.arg(0), err: err, after: c.number("after", 0)})
	}
	return ""
}

// records: what DNS was asked for since they were shown last, and what it holds.
func (w *world) doRecords(command) string {
	var b strings.Builder
	separator := ""
	for _, verb := range dnsVerbs {
		if n := countOf(w.dns.asked, verb); n > 0 {
			fmt.Fprintf(&b, "%s%s %d", separator, verb, n)
			separator = ", "
		}
	}
	w.dns.asked = nil
	if b.Len() == 0 {
		b.WriteString("not asked")
	}
	b.WriteString("\n")
	var lines []string
	for p := range w.dns.records {
		lines = append(lines, fmt.Sprintf("   %s TXT digest of %s, with %s\n", p.Name, w.ca.explain(p.Value), p.Provider))
	}
	slices.Sort(lines)
	return b.String() + strings.Join(lines, "")
}

// account [key=NAME] [available] [unavailable] [gone]: the account has another
// key from now on, or none that can be had.
func (w *world) doAccount(c command) string {
	if key, ok := c.options["key"]; ok {
		w.ca.key = key
	}
	switch c.arg(0) {
	case "available":
		w.ca.locked = nil
	case "unavailable":
		w.ca.locked = &acme.Unreachable{Doing: "reading the directory", Err: errors.New("connection refused")}
	case "gone":
		w.ca.locked = &acme.Problem{Type: acme.AccountDoesNotExist, Detail: `ACME account "account": not found`}
	}
	return ""
}

// crash: the process dies in the next step, before its result is stored.
func (w *world) doCrash(command) string { w.dying = true; return "" }
