package pkiexternalca

import (
	"context"
	"crypto"
	"errors"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// importation is what a request to import an account holds.
type importation struct {
	account.Account
	key secret.Text
}

var importFields = field.Set[importation]{
	field.String("account_key", "PEM-encoded private key for the existing ACME account.",
		func(i *importation) *string { return (*string)(&i.key) }).Required().Hidden(),
	field.Text("directory_url", "The ACME directory URL where you registered the account.", parseDirectoryURL,
		func(i *importation) *string { return &i.DirectoryURL }).Label("Directory URL").Required(),
	field.Text("trusted_ca", "PEM-encoded trusted CA certificates for the ACME server.", parseTrustedCA,
		func(i *importation) *string { return &i.TrustedCA }).Label("Trusted CA"),
}

func (b *backend) pathAccountImport() *framework.Path {
	answers := accountFields.Shown()
	for name, schema := range importFields.Shown() {
		answers[name] = schema
	}
	return b.path(endpoint{
		pattern: "config/acme-account/" + framework.GenericNameRegex("name") + "/import", suffix: "config-acme-account-import",
		synopsis: "Create an account by importing an existing account key registered on the ACME server",
		help: `Takes over an account that exists at the CA already, with its key. The CA is asked for the
account of the key; none is made. PEM in the forms EC PRIVATE KEY (SEC 1), RSA PRIVATE KEY (PKCS #1) and
PRIVATE KEY (PKCS #8) is read.`,
		fields: importFields.Schema(map[string]*framework.FieldSchema{"name": nameField("Name of the account")}),
		exists: never,
		operations: map[logical.Operation]operation{
			logical.CreateOperation: {summary: "Import an ACME account.", do: b.importAccount, answers: answers},
		},
	})
}

// never is the existence check of a path that only creates.
func never(context.Context, *logical.Request, *framework.FieldData) (bool, error) { return false, nil }

func (b *backend) importAccount(ctx context.Context, req *request) (*logical.Response, error) {
	name := req.text("name")
	sent, err := importFields.Create(req.fields)
	if err != nil {
		return nil, err
	}
	key, err := keys.Parse(sent.key.Reveal())
	if err != nil {
		return nil, badRequest("account_key cannot be used: %w", err)
	}
	release, err := b.reserve(accounts.Prefix + name)
	if err != nil {
		return nil, conflict("%w", err)
	}
	defer release()
	switch _, err := accounts.Get(ctx, req.Storage, name); {
	case err == nil:
		return nil, conflict("ACME account %q exists already; choose another name or delete it first", name)
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	acct := sent.Account
	acct.Name, acct.Created, acct.Updated = name, b.now(), b.now()
	if err := b.adopt(ctx, &acct, key); err != nil {
		return nil, err
	}
	if err := b.saver(ctx, req.Storage)(&acct); err != nil {
		return nil, err
	}
	return b.showAccount(&acct), nil
}

// adopt fills the account in from what the CA knows of its key.
func (b *backend) adopt(ctx context.Context, a *account.Account, key crypto.Signer) error {
	ca, about, err := b.reachable(ctx, a)
	if err != nil {
		return err
	}
	defer ca.Close()
	a.Profiles = about.Profiles
	if err := a.SetKey(key, b.now()); err != nil {
		return badRequest("account_key cannot be used: %w", err)
	}
	a.KeyKind = keys.KindOf(key.Public())
	found, err := ca.FindAccount(ctx, key)
	if acme.IsProblem(err, acme.AccountDoesNotExist) {
		return badRequest("account_key: the CA at %s knows no account with this key: %w", a.DirectoryURL, err)
	}
	if err != nil {
		return fromCA(refusedHere(err), "looking up the account of account_key")
	}
	if found.Status != acme.StatusValid {
		return badRequest("account_key: the account is %s at the CA and cannot be used any more", found.Status)
	}
	a.URL, a.Contacts = found.URL, bareContacts(found.Contacts)
	return nil
}

// bareContacts gives the e-mail addresses among an account's contact URLs.
func bareContacts(urls []string) []string {
	out := []string{}
	for _, u := range urls {
		if address, ok := strings.CutPrefix(u, "mailto:"); ok {
			out = append(out, address)
		}
	}
	return out
}

var _ account.CA = keyHolder{}
