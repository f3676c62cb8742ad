package acmetest

import (
	"net/http"
	"strconv"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Default is the fake CA's own answer to a request.
func (s *ScriptServer) Default(w http.ResponseWriter, r *Request) {
	s.mu.Lock()
	answer := s.act(w.Header(), r)
	s.mu.Unlock()
	answer(w, r)
}

// act changes the CA's memory and gives the answer to be sent. The mutex is
// held; what has to be sent as a header is set at once.
func (s *ScriptServer) act(h http.Header, r *Request) Handler {
	switch r.Resource {
	case Directory:
		return JSON(http.StatusOK, s.ca.directory())
	case NewNonce:
		return func(http.ResponseWriter, *Request) {} // the nonce is among the headers
	case NewAccount:
		return s.ca.newAccount(h, r)
	case RenewalInfo:
		return s.ca.renewalInfo(h, r)
	}
	account := s.ca.accounts[r.KID]
	if account == nil {
		return Problem(http.StatusBadRequest, acme.AccountDoesNotExist, "there is no account "+strconv.Quote(r.KID))
	}
	if account.status != acme.StatusValid {
		return Problem(http.StatusUnauthorized, acme.Unauthorized, "the account is deactivated")
	}
	switch r.Resource {
	case Account:
		return s.ca.updateAccount(account, r)
	case KeyChange:
		return s.ca.changeKey(h, account, r)
	case NewOrder:
		return s.ca.newOrder(h, account, r)
	case RevokeCert:
		return s.ca.revoke(r)
	}
	return s.actOnNumber(r)
}

// actOnNumber serves what is addressed by a number.
func (s *ScriptServer) actOnNumber(r *Request) Handler {
	missing := Problem(http.StatusNotFound, acme.Malformed, "there is no such resource")
	n, err := strconv.Atoi(r.ID)
	if err != nil || n < 1 {
		return missing
	}
	switch r.Resource {
	case Authorization, Challenge:
		if n > len(s.ca.authorizations) {
			return missing
		}
		a := s.ca.authorizations[n-1]
		if r.Resource == Challenge {
			return s.ca.answerChallenge(a, r)
		}
		return s.ca.authorization(a, r)
	case Order, Finalize, Certificate:
		if n > len(s.ca.orders) {
			return missing
		}
		return s.actOnOrder(s.ca.orders[n-1], r)
	}
	return missing
}

func (s *ScriptServer) actOnOrder(o *fakeOrder, r *Request) Handler {
	switch r.Resource {
	case Finalize:
		if o.status() != acme.StatusReady {
			return Problem(http.StatusForbidden, acme.OrderNotReady, "the order is "+string(o.status()))
		}
		if problem := s.certify(o, r); problem != nil {
			return Problem(problem.Status, problem.Type, problem.Detail)
		}
	case Certificate:
		if o.chain == nil {
			return Problem(http.StatusNotFound, acme.Malformed, "there is no certificate yet")
		}
		return func(w http.ResponseWriter, _ *Request) {
			w.Header().Set("Content-Type", "application/pem-certificate-chain")
			_, _ = w.Write(o.chain)
		}
	}
	return JSON(http.StatusOK, s.ca.orderDocument(o))
}

func (ca *fakeCA) directory() map[string]any {
	return map[string]any{
		"newNonce":    ca.url(string(NewNonce)),
		"newAccount":  ca.url(string(NewAccount)),
		"newOrder":    ca.url(string(NewOrder)),
		"revokeCert":  ca.url(string(RevokeCert)),
		"keyChange":   ca.url(string(KeyChange)),
		"renewalInfo": ca.url(string(RenewalInfo)),
		"meta":        map[string]any{"termsOfService": ca.url("terms"), "caaIdentities": []string{"ca.example"}},
	}
}
