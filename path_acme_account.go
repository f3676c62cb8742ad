package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// accountFields are the fields of an ACME account.
var accountFields = field.Set[account.Account]{
	field.Shown("name", "Name of the account", framework.TypeString, func(a *account.Account) any { return a.Name }),
	field.Text("directory_url",
		"The ACME directory URL (e.g., https://acme-v02.api.letsencrypt.org/directory for Let's Encrypt production)",
		parseDirectoryURL, func(a *account.Account) *string { return &a.DirectoryURL }).Required().Fixed(),
	field.Texts("email_contacts",
		"List of email addresses for account notifications. You must provide at least one email.",
		parseEmail, func(a *account.Account) *[]string { return &a.Contacts }).Required(),
	field.Text("key_type", "Key type to generate for the account key", parseAccountKind,
		func(a *account.Account) *keys.Kind { return &a.KeyKind }).
		Default(string(keys.EC256)).OneOf(oneOf(keys.AccountKinds)...).Fixed().Hidden(),
	field.String("eab_kid",
		"External Account Binding (EAB) key identifier. Some ACME servers require an EAB key identifier for account registration.",
		func(a *account.Account) *string { return &a.EABKID }).Label("EAB Key ID").Fixed(),
	field.Text("trusted_ca",
		"PEM-encoded trusted CA certificates for validating the TLS certificate provided by the ACME server. Use trusted_ca for private ACME servers with custom CAs.",
		parseTrustedCA, func(a *account.Account) *string { return &a.TrustedCA }).Label("Trusted CA"),
	field.SecondsWithin("rotation_period", "The age at which the account key is replaced by a new one; 0 to leave that to rotate-key",
		account.CheckPeriod, func(a *account.Account) *time.Duration { return &a.RotationPeriod }),
	field.Shown("last_rotated", "When the account key was last replaced (RFC3339)", framework.TypeTime,
		func(a *account.Account) any { return field.FormatTime(a.LastRotated()) }),
	field.Shown("next_rotation", "When the account key will be replaced because of its age (RFC3339)", framework.TypeTime,
		func(a *account.Account) any { return field.FormatTime(a.NextRotation()) }),
	field.Shown("last_rotation_error", "Why the account key was not replaced though it is due, if that is so", framework.TypeString,
		func(a *account.Account) any { return a.Rotation.LastError }),
	field.Shown("account_url", "The account's URL at the CA, as CAA records name it (accounturi)", framework.TypeString,
		func(a *account.Account) any { return a.URL }),
	field.Shown("active_key_version", "The currently active key version for this ACME account", framework.TypeInt,
		func(a *account.Account) any { return a.ActiveVersion() }),
	field.Shown("account_keys", "Map of account key versions with their metadata (key_type, key_version, key_creation_date)",
		framework.TypeMap, showKeyVersions),
	field.Shown("profiles", "The profiles that the CA offers: a map of names to descriptions, as its directory was last read", framework.TypeMap,
		showProfiles),
	field.Time("creation_date", "Configuration creation timestamp", func(a *account.Account) *time.Time { return &a.Created }),
	field.Time("last_updated_date", "Configuration last updated timestamp", func(a *account.Account) *time.Time { return &a.Updated }),
}

// eabKeyField is sent with the account and never stored.
var eabKeyField = &framework.FieldSchema{
	Type:         framework.TypeString,
	Description:  "External Account Binding (EAB) key (base64 URL encoded). Some ACME servers require an EAB key for account registration. It is used once and not stored.",
	DisplayAttrs: &framework.DisplayAttributes{Name: "EAB Key", Sensitive: true},
}

func showKeyVersions(a *account.Account) any {
	out := make(map[string]any, len(a.Versions))
	for i, v := range a.Versions {
		out[strconv.Itoa(i)] = map[string]any{
			"key_type":          string(v.Kind),
			"key_version":       i,
			"key_creation_date": field.FormatTime(v.Created),
		}
	}
	return out
}

func showProfiles(a *account.Account) any {
	out := make(map[string]any, len(a.Profiles))
	for name, description := range a.Profiles {
		out[name] = description
	}
	return out
}

// parseDirectoryURL repeats in its error only what looks like a URL, without a
// password: what gets into a wrong field may be a key.
func parseDirectoryURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "":
		return "", errors.New("is not a URL; expected the form https://ca.example/directory")
	case u.Scheme != "https":
		return "", fmt.Errorf("%.200q must begin with https:// (RFC 8555 §6.1)", u.Redacted())
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return "", fmt.Errorf("%.200q must be the plain URL of an ACME directory: a host, no user, no fragment", u.Redacted())
	}
	return text, nil
}

func parseEmail(text string) (string, error) {
	bare := strings.TrimPrefix(text, "mailto:")
	parsed, err := mail.ParseAddress(bare)
	if err != nil || parsed.Address != bare || strings.ContainsAny(bare, ",?") {
		return "", fmt.Errorf("%.200q is not an e-mail address; expected the form admin@example.com", text)
	}
	return bare, nil
}

func parseAccountKind(text string) (keys.Kind, error) { return keys.ParseKind(text, keys.AccountKinds) }

func parseTrustedCA(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if _, err := acmeclient.ParseTrustedCA([]byte(text)); err != nil {
		return "", err
	}
	return text, nil
}

func (b *backend) accountPaths() []*framework.Path {
	return []*framework.Path{b.pathAccountList(), b.pathAccount(), b.pathAccountImport(), b.pathAccountRotateKey(), b.pathAccountLimits()}
}

func (b *backend) pathAccountList() *framework.Path {
	return b.path(endpoint{
		pattern: "config/acme-account/?$", suffix: "config-acme-account",
		synopsis: "List ACME accounts", help: "Lists the names of all configured ACME accounts.",
		operations: map[logical.Operation]operation{
			logical.ListOperation: {summary: "List the ACME accounts.", do: listNames(accounts), anywhere: true},
		},
	})
}

func (b *backend) pathAccount() *framework.Path {
	return b.path(endpoint{
		pattern: "config/acme-account/" + framework.GenericNameRegex("name"), suffix: "config-acme-account",
		synopsis: "ACME Account configuration",
		help: `Creates, reads, updates and deletes an account at an ACME CA. Creating one registers
it at the CA, which means agreement with the CA's terms of service; deleting one deactivates it there
for good, unless deactivate=false is given. After creation, trusted_ca, email_contacts and rotation_period
may change.`,
		fields: accountFields.Schema(map[string]*framework.FieldSchema{
			"name":    nameField("Name of the account"),
			"eab_key": eabKeyField,
			"deactivate": {
				Type: framework.TypeBool, Default: true, Query: true,
				Description: "Only for deletion: false keeps the account alive at the CA.",
			},
		}),
		exists: existence(accounts),
		operations: map[logical.Operation]operation{
			logical.CreateOperation: {summary: "Register an ACME account.", do: b.writeAccount, answers: accountFields.Shown(), verb: "write"},
			logical.UpdateOperation: {summary: "Register or update an ACME account.", do: b.writeAccount, answers: accountFields.Shown(), verb: "write"},
			logical.ReadOperation:   {summary: "Read an ACME account; no key is shown.", do: b.readAccount, answers: accountFields.Shown(), anywhere: true},
			logical.DeleteOperation: {summary: "Deactivate an ACME account at the CA and delete it.", do: b.deleteAccount, empty: true},
		},
	})
}

func (b *backend) readAccount(ctx context.Context, req *request) (*logical.Response, error) {
	acct, err := accounts.Get(ctx, req.Storage, req.text("name"))
	if err != nil {
		return nil, err
	}
	return b.showAccount(acct), nil
}

func (b *backend) showAccount(a *account.Account) *logical.Response {
	shown := *a
	shown.Profiles = b.profilesOf(a)
	return &logical.Response{Data: accountFields.Show(&shown)}
}

// writeAccount creates an account or changes one.
func (b *backend) writeAccount(ctx context.Context, req *request) (*logical.Response, error) {
	name := req.text("name")
	release, err := b.reserve(accounts.Prefix + name)
	if err != nil {
		return nil, conflict("%w", err)
	}
	defer release()
	stored, err := accounts.Get(ctx, req.Storage, name)
	if errors.Is(err, store.ErrNotFound) {
		return b.createAccount(ctx, req, name)
	}
	if err != nil {
		return nil, err
	}
	return b.updateAccount(ctx, req, stored)
}

func (b *backend) updateAccount(ctx context.Context, req *request, stored *account.Account) (*logical.Response, error) {
	changed, err := accountFields.Update(stored, req.fields)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(changed.Contacts, stored.Contacts) {
		if err := b.updateContacts(ctx, req, stored, changed); err != nil {
			return nil, err
		}
	}
	if changed.RotationPeriod != stored.RotationPeriod {
		changed.Rotation = account.Rotation{} // what failed has to do with the period before
	}
	unread := b.refreshProfiles(ctx, changed)
	changed.Updated, changed.Deleting = b.now(), false // a deletion that was interrupted is called off
	if err := b.saver(ctx, req.Storage)(changed); err != nil {
		return nil, err
	}
	resp := b.showAccount(changed)
	if unread != nil {
		resp.AddWarning(fmt.Sprintf("the account was changed, but what the CA offers could not be read: %v", unread))
	}
	return resp, nil
}

// updateContacts tells the CA first, so that a refusal leaves both sides as
// they were (RFC 8555 §7.3.2).
func (b *backend) updateContacts(ctx context.Context, req *request, stored, changed *account.Account) error {
	if err := validateContacts(changed); err != nil {
		return err
	}
	if err := b.settle(ctx, req.Storage, stored); err != nil {
		return fromCA(err, "preparing the account")
	}
	changed.Key, changed.Versions, changed.Candidate, changed.Rotation = stored.Key, stored.Versions, stored.Candidate, stored.Rotation
	ca, err := b.keyHolder(changed)
	if err != nil {
		return err
	}
	defer ca.Close()
	key, err := changed.Signer()
	if err != nil {
		return err
	}
	ctx, cancel := patiently(ctx)
	defer cancel()
	_, err = ca.Account(changed.URL, key).UpdateContacts(ctx, changed.Contacts)
	return fromCA(err, "updating email_contacts at the CA")
}

func validateContacts(a *account.Account) error {
	if len(a.Contacts) == 0 {
		return badRequest("email_contacts must hold at least one e-mail address")
	}
	return nil
}
