package pkiexternalca

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/identifier"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// mostIdentifiers is how many identifiers an order may have: what public CAs accept.
const mostIdentifiers = 100

// wanted collects the identifiers of an order, each once however often and in
// whatever spelling it was sent. Everything that is none is told of, not only the
// first.
type wanted struct {
	list []order.Identifier
	ids  []identifier.Identifier
	bad  []string
	seen map[identifier.Identifier]bool
	more bool // than an order can have
}

// add takes an identifier with its text, or what is wrong with the text.
func (w *wanted) add(text string, id identifier.Identifier, err error) {
	switch {
	case err == nil && w.seen[id]:
	case len(w.list)+len(w.bad) == mostIdentifiers:
		w.more = true
	case err != nil:
		w.bad = append(w.bad, err.Error())
	default:
		if w.seen == nil {
			w.seen = map[identifier.Identifier]bool{}
		}
		w.seen[id] = true
		w.ids = append(w.ids, id)
		w.list = append(w.list, order.Identifier{Requested: text, Identifier: id.ACME()})
	}
}

// check tells what is wrong with all that was added.
func (w *wanted) check() error {
	switch {
	case w.more:
		return fmt.Errorf("these are more than %d names, which is what fits into an order", mostIdentifiers)
	case len(w.bad) > 0:
		return errors.New(strings.Join(w.bad, "; "))
	case len(w.list) == 0:
		return errors.New("at least one name is needed")
	}
	return nil
}

// parseIdentifiers reads identifiers as people write them.
func parseIdentifiers(requested []string) (*wanted, error) {
	var w wanted
	for _, text := range requested {
		id, err := identifier.Parse(text)
		w.add(text, id, err)
	}
	return &w, w.check()
}

// identifiersOf gives the identifiers of a CSR, in which what is a name and what
// an address is told by its type.
func identifiersOf(csr *order.CSR) (*wanted, error) {
	var w wanted
	for _, text := range csr.Names {
		name, err := domainmatch.Parse(text)
		w.add(text, identifier.OfName(name), err)
	}
	for _, address := range csr.Addresses {
		id, err := identifier.OfAddress(address)
		w.add(address.String(), id, err)
	}
	return &w, w.check()
}

// fillOrder takes the identifiers from a wish: from its list or its CSR.
func (b *backend) fillOrder(ctx context.Context, s logical.Storage, w wish, o *order.Order) ([]identifier.Identifier, error) {
	switch {
	case len(w.identifiers) > 0 && w.csr != "":
		return nil, badRequest("identifiers and csr were both sent; send one: identifiers to have Vault make the key, csr to keep it")
	case len(w.identifiers) == 0 && w.csr == "":
		return nil, badRequest("identifiers or csr is required: names for which Vault makes the key, or a PEM certificate request")
	case w.csr != "":
		return fillFromCSR(ctx, s, o, w.csr)
	}
	named, err := parseIdentifiers(w.identifiers)
	if err != nil {
		return nil, badRequest("identifiers: %w", err)
	}
	o.Identifiers = named.list
	return named.ids, nil
}

// notItsKey refuses to certify the key of an account.
func notItsKey(ctx context.Context, s logical.Storage, name string, public crypto.PublicKey) error {
	acct, err := accounts.Get(ctx, s, name)
	if err != nil {
		return err
	}
	key, err := acct.Signer()
	if err != nil {
		return err
	}
	if keys.Same(key.Public(), public) {
		return badRequest("csr has the key of the ACME account %q; a certificate needs a key of its own (RFC 8555 §11.1)", name)
	}
	return nil
}

func fillFromCSR(ctx context.Context, s logical.Storage, o *order.Order, text string) ([]identifier.Identifier, error) {
	csr, err := order.ParseCSR(text)
	if err != nil {
		return nil, badRequest("csr %w", err)
	}
	for _, name := range append([]string{o.Account}, o.Fallbacks...) {
		if err := notItsKey(ctx, s, name, csr.PublicKey); err != nil {
			return nil, err
		}
	}
	named, err := identifiersOf(csr)
	if err != nil {
		return nil, badRequest("csr: %w", err)
	}
	o.RequestCSR, o.KeyKind, o.Population, o.Identifiers = text, "", "", named.list
	return named.ids, nil
}

// permit refuses identifiers that the role does not allow to an entity, and those
// that can be proven by no challenge that it allows.
func (b *backend) permit(entity string, r *role, ids []identifier.Identifier) error {
	err := b.mayOrder(entity, r, ids)
	rejection, refused := errors.AsType[*identifier.Rejection](err)
	if err != nil && !refused {
		return err
	}
	why := unprovable(r.ChallengeTypes, ids)
	if refused {
		why = append([]string{rejection.Error()}, why...)
	}
	if len(why) > 0 {
		return badRequest("role %q does not allow the order: %s", r.Name, strings.Join(why, "; "))
	}
	return nil
}

// unprovable tells which identifiers need challenges that are not allowed: a
// wildcard is proven by DNS only (RFC 8555 §7.4.1), an address never is
// (RFC 8738 §7).
func unprovable(allowed []acme.ChallengeType, ids []identifier.Identifier) []string {
	var why, wildcards, addresses []string
	for _, id := range ids {
		if name, ok := id.Name(); !ok {
			addresses = append(addresses, id.String())
		} else if name.IsWildcard() {
			wildcards = append(wildcards, id.String())
		}
	}
	if len(wildcards) > 0 && !slices.Contains(allowed, acme.DNS01) {
		why = append(why, strings.Join(wildcards, ", ")+" can be proven by dns-01 only, which is not among the allowed_challenge_types")
	}
	if len(addresses) > 0 && !slices.Contains(allowed, acme.HTTP01) && !slices.Contains(allowed, acme.TLSALPN01) {
		why = append(why, strings.Join(addresses, ", ")+" can be proven by http-01 or tls-alpn-01 only, of which neither is among the allowed_challenge_types")
	}
	return why
}
