package acmetest

import (
	"crypto/x509"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

func (ca *fakeCA) newOrder(h http.Header, account *fakeAccount, r *Request) Handler {
	var wish struct {
		Identifiers []acme.Identifier `json:"identifiers"`
		Replaces    string            `json:"replaces"`
	}
	if err := r.Decode(&wish); err != nil {
		return Problem(http.StatusBadRequest, acme.Malformed, err.Error())
	}
	if refusal := ca.refuseReplacement(account.url, wish.Replaces); refusal != nil {
		return refusal
	}
	slices.SortFunc(wish.Identifiers, func(a, b acme.Identifier) int { return strings.Compare(a.Value, b.Value) })
	o := ca.addOrder(account.url, slices.Compact(wish.Identifiers))
	o.replaces = wish.Replaces
	h.Set("Location", ca.orderURL(o))
	return JSON(http.StatusCreated, ca.orderDocument(o))
}

func (ca *fakeCA) orderURL(o *fakeOrder) string { return ca.url(string(Order), strconv.Itoa(o.number)) }

func (ca *fakeCA) orderDocument(o *fakeOrder) map[string]any {
	urls := make([]string, len(o.authorizations))
	for i, a := range o.authorizations {
		urls[i] = ca.url(string(Authorization), strconv.Itoa(a.number))
	}
	document := map[string]any{
		"status": o.status(), "expires": expiry(), "identifiers": o.identifiers,
		"authorizations": urls, "finalize": ca.orderURL(o) + "/" + string(Finalize),
	}
	if o.chain != nil {
		document["certificate"] = ca.url(string(Certificate), strconv.Itoa(o.number))
	}
	if p := o.problem(); p != nil {
		document["error"] = p
	}
	return document
}

// authorization shows one, or deactivates it (RFC 8555 §7.5.2).
func (ca *fakeCA) authorization(a *fakeAuthorization, r *Request) Handler {
	if len(r.Payload) > 0 {
		a.status = acme.StatusDeactivated
	}
	value, wildcard := strings.CutPrefix(a.identifier.Value, "*.")
	types := []acme.ChallengeType{acme.HTTP01, acme.DNS01, acme.TLSALPN01}
	switch {
	case a.tried != "":
		types = []acme.ChallengeType{a.tried} // RFC 8555 §7.1.4: only what was attempted
	case wildcard:
		types = []acme.ChallengeType{acme.DNS01}
	case a.identifier.Type == acme.IP:
		types = []acme.ChallengeType{acme.HTTP01, acme.TLSALPN01}
	}
	challenges := []map[string]any{}
	for _, t := range types {
		challenges = append(challenges, ca.challengeDocument(a, t))
	}
	document := map[string]any{
		"status": a.status, "expires": expiry(), "challenges": challenges,
		"identifier": acme.Identifier{Type: a.identifier.Type, Value: value},
	}
	if wildcard {
		document["wildcard"] = true
	}
	return JSON(http.StatusOK, document)
}

func (ca *fakeCA) challengeDocument(a *fakeAuthorization, t acme.ChallengeType) map[string]any {
	document := map[string]any{
		"type": t, "status": acme.StatusPending, "token": a.token,
		"url": ca.url(string(Challenge), strconv.Itoa(a.number), string(t)),
	}
	if a.tried == t {
		document["status"] = a.status
	}
	if a.tried == t && a.problem != nil {
		document["error"] = a.problem
	}
	return document
}

// answerChallenge settles the authorization at once. A second answer is
// refused, as most CAs do.
func (ca *fakeCA) answerChallenge(a *fakeAuthorization, r *Request) Handler {
	t := acme.ChallengeType(r.URL[strings.LastIndex(r.URL, "/")+1:])
	if len(r.Payload) > 0 {
		if a.status != acme.StatusPending {
			return Problem(http.StatusBadRequest, acme.Malformed, "the authorization is "+string(a.status))
		}
		a.answer(t, ca.judge)
	}
	return JSON(http.StatusOK, ca.challengeDocument(a, t))
}

func (ca *fakeCA) revoke(r *Request) Handler {
	var wish struct {
		Certificate string `json:"certificate"`
	}
	if err := r.Decode(&wish); err != nil {
		return Problem(http.StatusBadRequest, acme.Malformed, err.Error())
	}
	der, _ := decodeSegment(wish.Certificate)
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return Problem(http.StatusBadRequest, acme.Malformed, err.Error())
	}
	revoked, issued := ca.serials[leaf.SerialNumber.String()]
	switch {
	case !issued:
		return Problem(http.StatusNotFound, acme.Malformed, "the certificate was not issued here")
	case revoked:
		return Problem(http.StatusBadRequest, acme.AlreadyRevoked, "the certificate is revoked already")
	}
	ca.serials[leaf.SerialNumber.String()] = true
	return func(http.ResponseWriter, *Request) {}
}
