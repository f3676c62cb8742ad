package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/identifier"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// role says who may order what, and how certificates are made, as stored.
type role struct {
	Name string `json:"name"`
	// Rev counts the writes; it tells a compiled policy that it is out of date.
	Rev     int    `json:"rev"`
	Account string `json:"acme_account_name"`
	// Fallbacks are the accounts to turn to when the CA of Account cannot take an
	// order, in this order.
	Fallbacks      []string             `json:"fallback_acme_accounts,omitempty"`
	Domains        []string             `json:"allowed_domains"`
	Options        []domainmatch.Option `json:"allowed_domain_options"`
	IPRanges       []string             `json:"allowed_ip_ranges,omitempty"`
	ChallengeTypes []acme.ChallengeType `json:"allowed_challenge_types"`
	KeyKind        keys.Kind            `json:"csr_generate_key_type"`
	Population     order.Population     `json:"csr_identifier_population"`
	// Profile and PreferredChain are wishes for the CA; empty for none.
	Profile         string `json:"profile,omitempty"`
	PreferredChain  string `json:"preferred_chain,omitempty"`
	DNSProviderType string `json:"dns_provider_type,omitempty"`
	DNSProviderName string `json:"dns_provider_name,omitempty"`
	// Relay asks that Vault answers http-01 itself.
	Relay bool `json:"http_01_relay,omitempty"`
	renewalWishes
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

var populations = []order.Population{order.CNFirst, order.SANsOnly}

// roleFields are the fields of a role.
var roleFields = slices.Concat(field.Set[role]{
	field.Shown("name", "Name of the role", framework.TypeString, func(r *role) any { return r.Name }),
	field.String("acme_account_name", "The ACME account to use when validating certificates",
		func(r *role) *string { return &r.Account }).Required().Fixed(),
	field.Texts("fallback_acme_accounts", "The ACME accounts to turn to, in this order, when the CA of acme_account_name is away, fails, or has a limit that is reached.",
		asSent, func(r *role) *[]string { return &r.Fallbacks }).Label("Fallback ACME accounts"),
	field.Texts("allowed_domains", "A list of domains the role will accept certificates for. May contain templates, as with ACL Path Templating.",
		asSent, func(r *role) *[]string { return &r.Domains }),
	field.Texts("allowed_domain_options",
		"A list of keyword options that influence how values within allowed_domains are interpreted against the requested set of identifiers from the client.",
		domainmatch.ParseOption, func(r *role) *[]domainmatch.Option { return &r.Options }).OneOf(oneOf(domainmatch.Options())...),
	field.Texts("allowed_ip_ranges", "A list of ranges of IP addresses, in CIDR form, that the role will accept certificates for. Without one, no IP address is accepted.",
		parseRange, func(r *role) *[]string { return &r.IPRanges }).Label("Allowed IP ranges"),
	field.Texts("allowed_challenge_types", "The list of challenge types that are allowed to be used.",
		parseChallengeType, func(r *role) *[]acme.ChallengeType { return &r.ChallengeTypes }).
		Default(texts(acme.ChallengeTypes)).OneOf(oneOf(acme.ChallengeTypes)...),
	field.Text("csr_generate_key_type", "The key type and size/parameters to use when we generate a new key if running in the identifier workflow.",
		func(s string) (keys.Kind, error) { return keys.ParseKind(s, keys.CertificateKinds) },
		func(r *role) *keys.Kind { return &r.KeyKind }).
		Default(string(keys.EC256)).OneOf(oneOf(keys.CertificateKinds)...).Label("CSR generated key type"),
	field.Text("csr_identifier_population", "The technique used to populate a CSR from the provided identifiers in the identifier workflow.",
		parsePopulation, func(r *role) *order.Population { return &r.Population }).
		Default(string(order.CNFirst)).OneOf(oneOf(populations)...).Label("CSR identifier population"),
	field.Text("profile", "The profile to ask the CA for (draft-ietf-acme-profiles), one of those that the account shows; empty for what the CA gives by itself.",
		parseWish, func(r *role) *string { return &r.Profile }),
	field.Text("preferred_chain", "The common name of an issuer that the chain should have, for CAs that offer several chains; empty for the one that the CA sends first.",
		parseWish, func(r *role) *string { return &r.PreferredChain }),
	field.String("dns_provider_type", "The DNS provider type (required when dns_provider_name is provided)",
		func(r *role) *string { return &r.DNSProviderType }).Label("DNS provider type"),
	field.String("dns_provider_name", "The DNS provider configuration to use for DNS-01 challenges (optional)",
		func(r *role) *string { return &r.DNSProviderName }).Label("DNS provider name"),
	field.Bool("http_01_relay", "Let Vault answer http-01 itself, through web servers that pass the CA's requests on to it.",
		func(r *role) *bool { return &r.Relay }).Default(false).Label("HTTP-01 relay"),
}, field.Lift(renewalFields, func(r *role) *renewalWishes { return &r.renewalWishes }), field.Set[role]{
	field.Time("creation_date", "Configuration creation timestamp", func(r *role) *time.Time { return &r.Created }),
	field.Time("last_updated_date", "Configuration last updated timestamp", func(r *role) *time.Time { return &r.Updated }),
})

func texts[V ~string](values []V) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// asSent keeps an entry of allowed_domains; [checkDomains] looks at all of them.
func asSent(text string) (string, error) { return text, nil }

// parseRange keeps a range as it is written.
func parseRange(text string) (string, error) {
	_, err := identifier.ParseRange(text)
	return text, err
}

// mostNamed bounds how many wrong entries an error names.
const mostNamed = 100

// checkDomains names every entry of allowed_domains that can never match.
func checkDomains(entries []string) error {
	var bad field.Errors
	for _, text := range entries {
		err := checkDomain(text)
		if err != nil && len(bad) == mostNamed {
			return append(bad, errors.New("there are more"))
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("allowed_domains %w", err))
		}
	}
	if len(bad) > 0 {
		return bad
	}
	return nil
}

func checkDomain(text string) error {
	entry, err := domainmatch.ParseEntry(text)
	if errors.Is(err, domainmatch.ErrIPAddress) {
		return fmt.Errorf("%w; addresses go into allowed_ip_ranges", err)
	}
	if err != nil {
		return err
	}
	for _, p := range entry.Placeholders() {
		if err := checkPlaceholder(p); err != nil {
			return fmt.Errorf("entry %.200q: %w", text, err)
		}
	}
	return nil
}

func parseChallengeType(text string) (acme.ChallengeType, error) {
	t := acme.ChallengeType(text)
	if !slices.Contains(acme.ChallengeTypes, t) {
		return "", fmt.Errorf("%.64q is not one of %v", text, acme.ChallengeTypes)
	}
	return t, nil
}

func parsePopulation(text string) (order.Population, error) {
	p := order.Population(text)
	if !slices.Contains(populations, p) {
		return "", fmt.Errorf("%.64q is not one of %v", text, populations)
	}
	return p, nil
}

// longestWish bounds, in bytes, what a role may ask of a CA by name.
const longestWish = 200

// parseWish accepts a name that a CA gave to something. Which there are is for the
// CA to say.
func parseWish(text string) (string, error) {
	unprintable := strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
	if len(text) > longestWish || unprintable || strings.TrimSpace(text) != text {
		return "", fmt.Errorf("must be a name as the CA writes it, of at most %d bytes, without line breaks and without spaces around it", longestWish)
	}
	return text, nil
}

func (b *backend) rolePaths() []*framework.Path {
	return []*framework.Path{b.pathRoleList(), b.pathRole(), b.pathRenew()}
}

func (b *backend) pathRoleList() *framework.Path {
	return b.path(endpoint{
		pattern: "role/?$", suffix: "role",
		synopsis: "List all roles", help: "Lists the names of all roles.",
		operations: map[logical.Operation]operation{
			logical.ListOperation: {summary: "List the roles.", do: listNames(roles), anywhere: true},
		},
	})
}

func (b *backend) pathRole() *framework.Path {
	return b.path(endpoint{
		pattern: "role/" + framework.GenericNameRegex("name"), suffix: "role",
		synopsis: "Role configuration",
		help: `Creates, reads, updates and deletes a role: which names its users may order, with which
account, and how. A field that is not sent keeps its value; acme_account_name is fixed at creation. A role
with active orders is deleted with force=true only, which ends these orders.`,
		fields: roleFields.Schema(map[string]*framework.FieldSchema{
			"name": nameField("Name of the role"),
			"force": {
				Type: framework.TypeBool, Query: true,
				Description: "Force deletion even when active orders exist",
			},
		}),
		exists: existence(roles),
		operations: map[logical.Operation]operation{
			logical.CreateOperation: {summary: "Create a role.", do: b.writeRole, answers: roleFields.Shown(), verb: "write"},
			logical.UpdateOperation: {summary: "Create or update a role.", do: b.writeRole, answers: roleFields.Shown(), verb: "write"},
			logical.ReadOperation:   {summary: "Read a role.", do: b.readRole, answers: roleFields.Shown(), anywhere: true},
			logical.DeleteOperation: {summary: "Delete a role.", do: b.deleteRole, empty: true},
		},
	})
}

func (b *backend) readRole(ctx context.Context, req *request) (*logical.Response, error) {
	r, err := roles.Get(ctx, req.Storage, req.text("name"))
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: roleFields.Show(r)}, nil
}

// writeRole creates a role or changes one. The lock keeps the account from
// being deleted between the check and the write.
func (b *backend) writeRole(ctx context.Context, req *request) (*logical.Response, error) {
	b.rolesLock.Lock()
	defer b.rolesLock.Unlock()
	name := req.text("name")
	stored, err := roles.Get(ctx, req.Storage, name)
	var r *role
	switch {
	case errors.Is(err, store.ErrNotFound):
		r, err = b.newRole(name, req.fields)
	case err == nil:
		r, err = roleFields.Update(stored, req.fields)
	}
	if err != nil {
		return nil, err
	}
	all, err := b.validateRole(ctx, req.Storage, r)
	if err != nil {
		return nil, err
	}
	r.Rev, r.Updated = r.Rev+1, b.now()
	if err := roles.Put(ctx, req.Storage, name, r); err != nil {
		return nil, err
	}
	// A role that was deleted and made again finds what it had.
	if stored == nil && r.AutoRenew || stored != nil && stored.renewalWishes != r.renewalWishes {
		b.wakeRole(ctx, req.Storage, name)
	}
	resp := &logical.Response{Data: roleFields.Show(r)}
	b.warnOfProfiles(resp, all, r.Profile)
	if r.Relay && !b.relay.On() {
		resp.AddWarning("the HTTP-01 relay is switched off for this mount (http_01_relay_disabled at config); orders of this role wait for their callers")
	}
	return resp, nil
}

func (b *backend) newRole(name string, fields *framework.FieldData) (*role, error) {
	r, err := roleFields.Create(fields)
	if err != nil {
		return nil, err
	}
	r.Name, r.Created = name, b.now()
	return r, nil
}

// validateRole checks what one field alone does not tell, and gives the role's
// accounts.
func (b *backend) validateRole(ctx context.Context, s logical.Storage, r *role) ([]*account.Account, error) {
	all, err := b.accountsOf(ctx, s, r)
	switch {
	case err != nil:
		return nil, err
	case len(r.ChallengeTypes) == 0:
		return nil, badRequest("allowed_challenge_types must hold at least one of %v", acme.ChallengeTypes)
	case r.Relay && !slices.Contains(r.ChallengeTypes, acme.HTTP01):
		return nil, badRequest("http_01_relay needs http-01 among allowed_challenge_types, which are %v", r.ChallengeTypes)
	}
	if err := r.renewalWishes.check(); err != nil {
		return nil, err
	}
	if err := validatePin(ctx, s, r); err != nil {
		return nil, err
	}
	return all, checkDomains(r.Domains)
}

func (b *backend) deleteRole(ctx context.Context, req *request) (*logical.Response, error) {
	b.rolesLock.Lock()
	defer b.rolesLock.Unlock()
	name := req.text("name")
	ids, err := alive(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 && !req.flag("force") {
		return nil, conflict("role %q has %d active orders, %s among them; wait for them to end or set force=true, which ends them", name, len(ids), ids[0])
	}
	if err := roles.Delete(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	b.policies.Delete(name)
	for _, id := range ids {
		if err := b.abandon(ctx, req.Storage, name, order.ID(id)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// abandon ends an order whose role is gone.
func (b *backend) abandon(ctx context.Context, s logical.Storage, role string, id order.ID) error {
	err := b.changeOrder(ctx, s, id, func(o *order.Order) error {
		if !o.Final() {
			o.Abandon(fmt.Sprintf("role %q was deleted by force", role), b.now())
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnreadable) {
		return active.Delete(ctx, s, role+"/"+string(id))
	}
	return err
}
