package order

import (
	"context"
	"crypto/x509"
	"path"
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// Order implements CA.
func (ca *fakeCA) Order(_ context.Context, url string) (at acme.Order, err error) {
	err = ca.serve("order", url, func() error {
		o, err := ca.find(url)
		if err == nil {
			at = ca.show(o)
		}
		return err
	})
	return at, err
}

// Authorization implements CA.
func (ca *fakeCA) Authorization(_ context.Context, url string) (at acme.Authorization, err error) {
	err = ca.serve("authorization", url, func() error {
		a := ca.findAuthz(url)
		if a == nil {
			return problem(404, "malformed", "no such authorization")
		}
		at = acme.Authorization{
			URL: url, Status: ca.authzStatus(a), Expires: ca.told(a.expires), Identifier: a.of, Wildcard: a.wildcard,
		}
		for _, t := range ca.rules.offers {
			at.Challenges = append(at.Challenges, ca.challenge(a, t))
		}
		return nil
	})
	return at, err
}

func (ca *fakeCA) findAuthz(url string) *caAuthz {
	for _, o := range ca.orders {
		for _, a := range o.authzs {
			if !o.deleted && strings.HasPrefix(url+"/", a.url+"/") {
				return a
			}
		}
	}
	return nil
}

func (ca *fakeCA) challenge(a *caAuthz, t acme.ChallengeType) acme.Challenge {
	c := acme.Challenge{Type: t, URL: a.url + "/" + string(t), Token: "token-" + path.Base(a.url), Status: acme.StatusPending}
	if t == acme.DNS01 && ca.rules.noToken {
		c.Token = ""
	}
	status := ca.authzStatus(a)
	switch {
	case a.answered != t:
	case status == acme.StatusPending:
		c.Status = acme.StatusProcessing
	default:
		c.Status = status
	}
	if c.Status == acme.StatusInvalid {
		c.Error = ca.rules.failing[a.of.Value]
	}
	return c
}

// Answer implements CA.
func (ca *fakeCA) Answer(_ context.Context, url string) error {
	return ca.serve("answer", url, func() error {
		ca.onAnswer(url)
		ca.answers[url]++
		a := ca.findAuthz(url)
		switch {
		case a == nil:
			return problem(404, "malformed", "no such challenge")
		case ca.authzStatus(a) != acme.StatusPending || a.answered != "":
			return problem(400, "malformed", "the authorization is not pending")
		}
		a.answered = acme.ChallengeType(strings.TrimPrefix(url, a.url+"/"))
		a.at = ca.clock.now()
		return nil
	})
}

// Finalize implements CA.
func (ca *fakeCA) Finalize(_ context.Context, url string, csr []byte) (at acme.Order, err error) {
	err = ca.serve("finalize", url, func() error {
		ca.onFinalize(csr)
		ca.oneKey(url, csr)
		o, err := ca.find(url)
		if err != nil {
			return err
		}
		if status := ca.status(o); status != acme.StatusReady {
			return problem(403, "orderNotReady", "the order is %s", status)
		}
		if err := ca.take(o, csr); err != nil {
			return err
		}
		at = ca.show(o)
		return nil
	})
	return at, err
}

// oneKey holds that an order is never sent CSRs of two keys: which of them would
// be certified is a matter of luck.
func (ca *fakeCA) oneKey(url string, csr []byte) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		ca.t.Errorf("the CA got a CSR that cannot be read: %v", err)
		return
	}
	if first, sent := ca.csrKeys[url]; sent && !keys.Same(first, request.PublicKey) {
		ca.t.Errorf("%s got CSRs of two keys", url)
	}
	ca.csrKeys[url] = request.PublicKey
}

// take checks a CSR as a CA does: the names of the order, no others, and all of
// them as subject alternative names.
func (ca *fakeCA) take(o *caOrder, csr []byte) error {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return problem(400, "badCSR", "unreadable")
	}
	var want, got []string
	for _, id := range o.identifiers {
		want = append(want, id.Value)
	}
	got = append(got, request.DNSNames...)
	for _, ip := range request.IPAddresses {
		got = append(got, ip.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return problem(400, "badCSR", "the CSR is for %v, the order for %v", got, want)
	}
	if ca.rules.badCN && request.Subject.CommonName != "" {
		return problem(400, "badCSR", "common names are not supported")
	}
	o.csr, o.finalized = csr, ca.clock.now()
	o.chain = ca.rules.leaf.issue(ca.t, request, o.identifiers, o.finalized)
	return nil
}

// Certificate implements CA.
func (ca *fakeCA) Certificate(_ context.Context, url string) (chain acme.Chain, err error) {
	err = ca.serve("certificate", url, func() error {
		url, alternate, _ := strings.Cut(url, "/alternate/")
		o, err := ca.find(url)
		switch {
		case err != nil:
			return err
		case alternate != "":
			chain.Certificates = ca.alternate(o, alternate)
			return nil
		}
		chain.Certificates = o.chain
		for name := range strings.SplitSeq(ca.rules.alternates, ",") {
			if name != "" {
				chain.Alternates = append(chain.Alternates, url+"/alternate/"+name)
			}
		}
		return nil
	})
	return chain, err
}

// alternate is another chain for an order's certificate, up to an issuer of a name.
func (ca *fakeCA) alternate(o *caOrder, name string) [][]byte {
	root := namedIssuer(ca.t, name)
	switch name {
	case "empty":
		return nil
	case "garbage":
		return [][]byte{o.chain[0], []byte("garbage")}
	case "other-leaf":
		return [][]byte{root, root}
	}
	return [][]byte{o.chain[0], root}
}

// countOf tells how many requests of a verb there were.
func countOf(requests []string, verb string) (n int) {
	for _, r := range requests {
		if r == verb {
			n++
		}
	}
	return n
}
