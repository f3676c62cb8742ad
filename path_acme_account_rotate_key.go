package pkiexternalca

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// rotation is what a request to rotate a key holds, and what came of it.
type rotation struct {
	kind    keys.Kind
	force   bool
	account *account.Account
}

var rotationFields = field.Set[rotation]{
	field.Text("key_type", "Key type to generate for the new account key.", parseAccountKind,
		func(r *rotation) *keys.Kind { return &r.kind }).Default(string(keys.EC256)).OneOf(oneOf(keys.AccountKinds)...),
	field.Bool("force", "Force the rotation of an account if orders are still pending.",
		func(r *rotation) *bool { return &r.force }).Hidden(),
	field.Shown("name", "Name of the account", framework.TypeString, func(r *rotation) any { return r.account.Name }),
	field.Shown("old_active_key_version", "The key version that was active before", framework.TypeInt,
		func(r *rotation) any { return r.account.ActiveVersion() - 1 }),
	field.Shown("new_active_key_version", "The key version that is active now", framework.TypeInt,
		func(r *rotation) any { return r.account.ActiveVersion() }),
	field.Shown("rotated_at", "When the CA confirmed the new key", framework.TypeTime,
		func(r *rotation) any { return field.FormatTime(r.account.Updated) }),
}

func (b *backend) pathAccountRotateKey() *framework.Path {
	return b.path(endpoint{
		pattern: "config/acme-account/" + framework.GenericNameRegex("name") + "/rotate-key", suffix: "config-acme-account-rotate-key",
		synopsis: "Rotate the ACME account key",
		help: `Gives the account a new key at the CA (RFC 8555 §7.3.5). Challenges contain the account key's
thumbprint, so those that are in place for active orders become wrong; therefore the rotation is refused while
the account has active orders, unless force=true is given. Read the challenges again after a forced rotation.`,
		fields: rotationFields.Schema(map[string]*framework.FieldSchema{"name": nameField("Name of the account")}),
		operations: map[logical.Operation]operation{
			logical.UpdateOperation: {summary: "Rotate the key of an ACME account.", do: b.rotateKey, answers: rotationFields.Shown()},
		},
	})
}

func (b *backend) rotateKey(ctx context.Context, req *request) (*logical.Response, error) {
	name := req.text("name")
	wish, err := rotationFields.Create(req.fields)
	if err != nil {
		return nil, err
	}
	release, err := b.reserve(accounts.Prefix + name)
	if err != nil {
		return nil, conflict("%w", err)
	}
	defer release()
	if wish.account, err = accounts.Get(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	if err := idle(ctx, req.Storage, name, wish.force); err != nil {
		return nil, err
	}
	ca, err := b.keyHolder(wish.account)
	if err != nil {
		return nil, err
	}
	defer ca.Close()
	if err := account.Rotate(ctx, wish.account, wish.kind, ca, b.saver(ctx, req.Storage), b.now()); err != nil {
		return nil, fromCA(err, "rotating the key of ACME account "+name)
	}
	return &logical.Response{Data: rotationFields.Show(wish)}, nil
}

// idle refuses when the account has orders that are not final.
func idle(ctx context.Context, s logical.Storage, name string, force bool) error {
	if force {
		return nil
	}
	var role string
	id, busy, err := findActive(ctx, s, func(o *order.Order) bool {
		role = o.Role
		return o.Account == name
	})
	if busy {
		return conflict("ACME account %q has active orders: %s of role %q, perhaps others; wait for them to end or set force=true", name, id, role)
	}
	return err
}

// alive lists the orders of a role that are not final. Their marks alone do not
// tell: that of an order which has just ended goes a moment later.
func alive(ctx context.Context, s logical.Storage, role string) ([]string, error) {
	marked, err := active.List(ctx, s, role+"/")
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(marked))
	for _, id := range marked {
		o, err := orders.Get(ctx, s, orderPath(order.ID(id)))
		switch {
		case errors.Is(err, store.ErrNotFound): // marked, and about to be stored
		case errors.Is(err, store.ErrUnreadable):
			continue // nobody will ever work on it
		case err != nil:
			return nil, err
		case o.Final():
			continue
		}
		ids = append(ids, id)
	}
	return ids, nil
}
