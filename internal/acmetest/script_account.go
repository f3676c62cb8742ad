package acmetest

import (
	"net/http"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// newAccount registers a key, or finds its account (RFC 8555 §7.3, §7.3.1).
func (ca *fakeCA) newAccount(h http.Header, r *Request) Handler {
	var wish struct {
		Contact            []string `json:"contact"`
		OnlyReturnExisting bool     `json:"onlyReturnExisting"`
	}
	if err := r.Decode(&wish); err != nil {
		return Problem(http.StatusBadRequest, acme.Malformed, err.Error())
	}
	status := http.StatusOK
	account := ca.accountByKey(r.Key)
	switch {
	case account == nil && wish.OnlyReturnExisting:
		return Problem(http.StatusBadRequest, acme.AccountDoesNotExist, "no account has this key")
	case account == nil:
		account, status = ca.addAccount(r.Key, wish.Contact), http.StatusCreated
	case account.status != acme.StatusValid:
		return Problem(http.StatusUnauthorized, acme.Unauthorized, "the account is deactivated")
	}
	h.Set("Location", account.url)
	return JSON(status, account.document())
}

// updateAccount changes contacts or deactivates (RFC 8555 §7.3.2, §7.3.6).
func (ca *fakeCA) updateAccount(account *fakeAccount, r *Request) Handler {
	if len(r.Payload) == 0 {
		return JSON(http.StatusOK, account.document())
	}
	var wish struct {
		Contact *[]string   `json:"contact"`
		Status  acme.Status `json:"status"`
	}
	if err := r.Decode(&wish); err != nil {
		return Problem(http.StatusBadRequest, acme.Malformed, err.Error())
	}
	if wish.Contact != nil {
		account.contacts = *wish.Contact
	}
	if wish.Status == acme.StatusDeactivated {
		account.status = wish.Status
	}
	return JSON(http.StatusOK, account.document())
}

// changeKey gives the account the key that the inner JWS embeds (RFC 8555 §7.3.5).
func (ca *fakeCA) changeKey(h http.Header, account *fakeAccount, r *Request) Handler {
	inner, _, err := openJWS(r.Payload)
	if err != nil || inner.JWK == nil || inner.URL != r.URL {
		return Problem(http.StatusBadRequest, acme.Malformed, "the inner JWS must embed the new key and repeat the url")
	}
	key, err := thumbprint(inner.JWK)
	if err != nil {
		return Problem(http.StatusBadRequest, acme.BadPublicKey, err.Error())
	}
	if holder := ca.accountByKey(key); holder != nil {
		h.Set("Location", holder.url)
		return Problem(http.StatusConflict, acme.Malformed, "the key belongs to an account already")
	}
	account.key = key
	return JSON(http.StatusOK, account.document())
}

func (a *fakeAccount) document() map[string]any {
	return map[string]any{"status": a.status, "contact": a.contacts, "orders": a.url + "/orders"}
}
