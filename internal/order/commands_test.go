package order

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// commands is what a script may say. Each returns its part of the transcript.
var commands = map[string]func(*world, command) string{
	"order":    (*world).doOrder,
	"run":      (*world).doRun,
	"fulfill":  (*world).doFulfill,
	"clock":    (*world).doClock,
	"abandon":  (*world).doAbandon,
	"restart":  (*world).doRestart,
	"ca":       (*world).doCA,
	"other":    (*world).doOther,
	"refuse":   (*world).doRefuse,
	"lose":     (*world).doLose,
	"fail":     (*world).doFail,
	"storage":  (*world).doStorage,
	"requests": (*world).doRequests,
	"show":     (*world).doShow,
	"crash":    (*world).doCrash,
	"account":  (*world).doAccount,
	"provider": (*world).doProvider,
	"dns":      (*world).doDNS,
	"hinder":   (*world).doHinder,
	"records":  (*world).doRecords,
	"relay":    (*world).doRelay,
	"answers":  (*world).doAnswers,
}

func (w *world) do(c command) string {
	run := commands[c.verb]
	if run == nil {
		w.t.Fatalf("no such command: %q", c.verb)
	}
	return run(w, c)
}

// order NAME... [csr=own|same] [allowed=TYPE,...] [key=KIND] [chain=NAME] [fallbacks=ACCOUNT,...] [need=DURATION] [profile=NAME] [replaces=CERT]
// [relay=on]: a new order, with a CSR for a new key or for that of the order before.
func (w *world) doOrder(c command) string {
	o := w.add(c.args...)
	if whose := c.options["csr"]; whose != "" {
		var key crypto.Signer = newKey(w.t)
		if whose == "same" {
			key = w.callers[w.ids[len(w.ids)-2]]
		}
		w.callers[o.ID] = key
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: c.args}, key)
		if err != nil {
			w.t.Fatal(err)
		}
		o.RequestCSR = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
		o.KeyKind, o.Population = "", ""
	}
	o.PreferredChain, o.Profile, o.Replaces = c.options["chain"], c.options["profile"], c.options["replaces"]
	if fallbacks, ok := c.options["fallbacks"]; ok {
		o.Fallbacks = strings.Split(fallbacks, ",")
	}
	o.Need = c.duration("need")
	o.Relay = c.options["relay"] == "on"
	if kind, ok := c.options["key"]; ok {
		o.KeyKind = keys.Kind(kind)
	}
	if allowed, ok := c.options["allowed"]; ok {
		o.Allowed = nil
		for t := range strings.SplitSeq(allowed, ",") {
			o.Allowed = append(o.Allowed, acme.ChallengeType(t))
		}
	}
	w.save(o)
	return w.line(o)
}

// id is the order that a command is about: the last one unless order=N.
func (w *world) id(c command) ID { return w.ids[c.number("order", len(w.ids))-1] }

// line describes an order.
func (w *world) line(o *Order) string {
	var b strings.Builder
	if len(w.ids) > 1 {
		fmt.Fprintf(&b, "%d: ", slices.Index(w.ids, o.ID)+1)
	}
	fmt.Fprintf(&b, "%s %s", offset(w.clock.now()), o.State)
	if !o.Due.IsZero() {
		fmt.Fprintf(&b, ", due %s", offset(o.Due))
	}
	if len(o.Tried) > 0 {
		fmt.Fprintf(&b, ", with %s", o.Account)
	}
	if o.LastError != "" {
		fmt.Fprintf(&b, "\n   last_error: %s", o.LastError)
	}
	if o.Note != "" {
		fmt.Fprintf(&b, "\n   note: %s", o.Note)
	}
	return b.String() + "\n"
}

// run [for=DURATION] [steps=N] [show=last]: works on what is due, now or within a time.
func (w *world) doRun(c command) string {
	var t trail
	by := w.clock.now().Add(c.duration("for"))
	for n := c.number("steps", 5000); n > 0; n-- {
		id, found := w.due(by)
		if !found {
			break
		}
		o := w.advance(id)
		t.add(w.line(o), fmt.Sprint(id, o.State, o.LastError))
	}
	if c.duration("for") > 0 {
		w.hurry = 0
		w.clock.forwardTo(by)
	}
	if c.options["show"] == "last" && len(t.lines) > 0 {
		return t.lines[len(t.lines)-1]
	}
	return t.String()
}

// trail is a list of lines; a run of alike ones is cut short to its ends.
type trail struct {
	lines []string
	kind  string
	alike int
}

func (t *trail) add(line, kind string) {
	if kind != t.kind {
		t.kind, t.alike = kind, 0
	}
	switch t.alike++; t.alike {
	case 1, 2:
		t.lines = append(t.lines, line)
	case 3:
		t.lines = append(t.lines, "   … 1 more\n", line)
	default:
		t.lines[len(t.lines)-2] = fmt.Sprintf("   … %d more\n", t.alike-2)
		t.lines[len(t.lines)-1] = line
	}
}

func (t *trail) String() string { return strings.Join(t.lines, "") }

// fulfill NAME TYPE [order=N]: reports a challenge, and shows where that leads.
func (w *world) doFulfill(c command) string {
	before := w.load(w.id(c)).State
	if err := w.fulfill(w.id(c), c.arg(0), acme.ChallengeType(c.arg(1))); err != nil {
		return err.Error() + "\n"
	}
	if o := w.load(w.id(c)); o.State != before {
		return w.line(o)
	}
	return ""
}

// clock for=DURATION: time passes, nobody works.
func (w *world) doClock(c command) string {
	w.clock.at = w.clock.at.Add(c.duration("for"))
	w.hurry = 0
	return ""
}

// abandon [order=N]: the order is ended from outside.
func (w *world) doAbandon(c command) string {
	o := w.load(w.id(c))
	before := o.State
	o.Abandon("the role was deleted", w.clock.now())
	w.onStep(before, o.State)
	w.change(o)
	w.checkEnd(o)
	return w.line(o)
}

// restart: the process ends and another one starts.
func (w *world) doRestart(command) string { w.restart(); return "" }

// storage failures=N: the next calls fail.
func (w *world) doStorage(c command) string {
	w.safe.failures = c.number("failures", 0)
	return ""
}

// requests: which the CA has had since they were shown last.
func (w *world) doRequests(command) string {
	var out []string
	for _, verb := range []string{"newOrder", "authorization", "answer", "order", "finalize", "certificate"} {
		if n := countOf(w.ca.requests, verb); n > 0 {
			out = append(out, fmt.Sprintf("%s %d", verb, n))
		}
	}
	w.ca.requests = nil
	if out == nil {
		return "none\n"
	}
	return strings.Join(out, ", ") + "\n"
}

// show [order=N]: where an order stands, and what is to be proven.
func (w *world) doShow(c command) string {
	o := w.load(w.id(c))
	var b strings.Builder
	b.WriteString(w.line(o))
	fmt.Fprintf(&b, "   deadline %s\n", offset(o.Deadline))
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		fmt.Fprintf(&b, "   %s is %s", o.Label(a), a.Status)
		if a.Proof != nil {
			fmt.Fprintf(&b, ", proven by %s at %s", a.Proof.Provider, a.Proof.Name)
		}
		if a.Relayed {
			b.WriteString(", proven by the relay")
		}
		if a.Fulfilled != "" {
			fmt.Fprintf(&b, ", reported %s", a.Fulfilled)
		}
		for _, challenge := range a.Challenges {
			fmt.Fprintf(&b, ", %s %s", challenge.Type, challenge.Status)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// end lets time pass until every order is final.
func (w *world) end() {
	for range 8000 {
		id, found := w.due(start.Add(2 * longestPatience))
		if !found {
			return
		}
		w.advance(id)
		w.hurry = min(w.hurry, 30)
	}
	w.t.Fatalf("orders do not end; it is %s", w.clock.now().Format(time.RFC3339))
}
