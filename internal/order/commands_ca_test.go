package order

import (
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// switches are the rules of the CA that are on or off.
func (r *rules) switches() map[string]*bool {
	return map[string]*bool{
		"valid": &r.valid, "reuse": &r.reuse, "reuse-valid": &r.reuseValid, "twice": &r.twice, "no-authorizations": &r.noAuthz,
		"replaced": &r.replaced, "no-finalize-url": &r.noFinalize, "no-certificate-url": &r.noCertURL,
		"no-token": &r.noToken, "lingering": &r.lingering, "seesaw": &r.seesaw, "bad-cn": &r.badCN,
		"other-key": &r.leaf.otherKey, "expired-leaf": &r.leaf.expired, "no-leaf": &r.leaf.empty,
	}
}

// texts are the rules of the CA that name something.
func (r *rules) texts() map[string]*string {
	return map[string]*string{"extra": &r.extra, "renamed": &r.renamed, "omit": &r.leaf.omit, "alternates": &r.alternates}
}

// ca SWITCH... no-SWITCH... NAME=VALUE...: how the CA decides from now on, and
// what happens there: down, up, forget (all orders), foreign-csr.
func (w *world) doCA(c command) string {
	for _, arg := range c.args {
		if on := w.ca.rules.switches()[strings.TrimPrefix(arg, "not-")]; on != nil {
			*on = !strings.HasPrefix(arg, "not-")
			continue
		}
		w.happen(arg)
	}
	for name, value := range c.options {
		w.rule(c, name, value)
	}
	return ""
}

// aboutCA is what can be said of either CA.
var aboutCA = map[string]func(*world, command) string{
	"ca": (*world).doCA, "refuse": (*world).doRefuse, "lose": (*world).doLose, "fail": (*world).doFail, "requests": (*world).doRequests,
}

// other COMMAND...: what is said of the CA, said of that of the other accounts.
func (w *world) doOther(c command) string {
	w.ca, w.other = w.other, w.ca
	defer func() { w.ca, w.other = w.other, w.ca }()
	run := aboutCA[c.arg(0)]
	if run == nil {
		w.t.Fatalf("%q cannot be said of the other CA", c.arg(0))
	}
	return run(w, command{c.arg(0), c.args[1:], c.options})
}

func (w *world) happen(event string) {
	switch event {
	case "down":
		w.ca.down = true
	case "up":
		w.ca.down = false
	case "forget":
		for _, o := range w.ca.orders {
			o.deleted = true
		}
	case "remember":
		for _, o := range w.ca.orders {
			o.deleted = false
		}
	default:
		w.t.Fatalf("no such event at the CA: %q", event)
	}
}

func (w *world) rule(c command, name, value string) {
	r := &w.ca.rules
	switch name {
	case "offers":
		r.offers = nil
		for t := range strings.SplitSeq(value, ",") {
			r.offers = append(r.offers, acme.ChallengeType(t))
		}
	case "validation":
		r.validation = c.duration(name)
	case "issuance":
		r.issuance = c.duration(name)
	case "retry-after":
		r.retryAfter = c.duration(name)
	case "skew":
		r.skew = c.duration(name)
	case "order-life":
		r.orderLife = c.duration(name)
	case "authorization-life":
		r.authzLife = c.duration(name)
	case "orders":
		for _, o := range w.ca.orders {
			o.forced = acme.Status(value)
		}
	case "authorizations":
		for _, a := range w.ca.authzs {
			a.forced = acme.Status(value)
		}
	default:
		text := r.texts()[name]
		if text == nil {
			w.t.Fatalf("the CA has no rule %q", name)
		}
		*text = value
	}
}

// refuse VERB status=N [type=T] [detail="..."] [retry-after=D] [instance=URL] [times=N] [after=N]:
// the next requests of the verb are refused, or those after some that are not.
func (w *world) doRefuse(c command) string {
	p := problemOf(c)
	p.RetryAfter = c.duration("retry-after")
	for range c.number("times", 1) {
		w.ca.faults = append(w.ca.faults, fault{verb: c.arg(0), err: p, after: c.number("after", 0)})
	}
	return ""
}

func problemOf(c command) *acme.Problem {
	p := &acme.Problem{Status: c.number("status", 0), Detail: c.options["detail"], Instance: c.options["instance"]}
	if kind := c.options["type"]; kind != "" {
		p.Type = acme.Namespace + kind
	}
	return p
}

// lose VERB [times=N]: the next requests of the verb, to the CA or to DNS, act,
// but the answer is lost.
func (w *world) doLose(c command) string {
	faults := &w.ca.faults
	if slices.Contains(dnsVerbs, c.arg(0)) {
		faults = &w.dns.faults
	}
	for range c.number("times", 1) {
		*faults = append(*faults, fault{verb: c.arg(0), lost: true})
	}
	return ""
}

// fail NAME type=T detail="..." [sub="..."]: the validation of a name fails.
func (w *world) doFail(c command) string {
	p := problemOf(c)
	p.Identifier = &acme.Identifier{Type: acme.DNS, Value: c.arg(0)}
	for sub := range strings.SplitSeq(c.options["sub"], "|") {
		if sub != "" {
			p.Subproblems = append(p.Subproblems, acme.Problem{Type: p.Type, Detail: sub})
		}
	}
	if w.ca.rules.failing == nil {
		w.ca.rules.failing = map[string]*acme.Problem{}
	}
	w.ca.rules.failing[c.arg(0)] = p
	return ""
}
