package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/helper/identitytpl"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/identifier"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// compiledPolicy is a role's policy, ready to check identifiers with.
type compiledPolicy struct {
	// Of which role, and which revision of it, the policy is. A role that was
	// deleted and made again has another date.
	created time.Time
	rev     int
	policy  identifier.Policy
	// templated tells that some entries are filled from the caller's identity.
	templated bool
}

// policyOf compiles a role's policy once for each revision of the role: a check
// must not cost more with 100,000 entries than with ten.
func (b *backend) policyOf(r *role) (*compiledPolicy, error) {
	if cached, ok := b.policies.Load(r.Name); ok {
		if p := cached.(*compiledPolicy); p.rev == r.Rev && p.created.Equal(r.Created) {
			return p, nil
		}
	}
	p := &compiledPolicy{created: r.Created, rev: r.Rev}
	names, err := p.compileNames(r)
	if err != nil {
		return nil, err
	}
	ranges, err := compileRanges(r)
	if err != nil {
		return nil, err
	}
	p.policy = identifier.NewPolicy(names, ranges)
	b.policies.Store(r.Name, p)
	return p, nil
}

func (p *compiledPolicy) compileNames(r *role) (*domainmatch.Policy, error) {
	entries := make([]domainmatch.Entry, 0, len(r.Domains))
	for _, text := range r.Domains {
		entry, err := domainmatch.ParseEntry(text)
		if err != nil {
			return nil, fmt.Errorf("role %q has an entry in allowed_domains that cannot be read: %w", r.Name, err)
		}
		p.templated = p.templated || entry.Templated()
		entries = append(entries, entry)
	}
	return domainmatch.NewPolicy(entries, r.Options), nil
}

func compileRanges(r *role) (identifier.Ranges, error) {
	prefixes := make([]netip.Prefix, 0, len(r.IPRanges))
	for _, text := range r.IPRanges {
		prefix, err := identifier.ParseRange(text)
		if err != nil {
			return identifier.Ranges{}, fmt.Errorf("role %q has an entry in allowed_ip_ranges that cannot be read: %w", r.Name, err)
		}
		prefixes = append(prefixes, prefix)
	}
	return identifier.NewRanges(prefixes), nil
}

// mayOrder checks identifiers against a role for an entity. The error is an
// *identifier.Rejection when some are refused.
func (b *backend) mayOrder(entity string, r *role, ids []identifier.Identifier) error {
	compiled, err := b.policyOf(r)
	if err != nil {
		return err
	}
	refused := compiled.policy.Check(ids)
	if refused == nil || !compiled.templated {
		return refused
	}
	who, err := b.identify(entity)
	if err != nil {
		return err
	}
	return compiled.policy.For(who.value).Check(ids)
}

// owned tells whether a role allows names by identity only: then they belong to
// somebody.
func (b *backend) owned(r *role, ids []identifier.Identifier) (bool, error) {
	compiled, err := b.policyOf(r)
	if err != nil {
		return false, err
	}
	return compiled.policy.Check(ids) != nil, nil
}

// mayRead checks that an entity could order an order's names now, if they
// belong to somebody, or the role would have them belong to somebody now.
func (b *backend) mayRead(ctx context.Context, s logical.Storage, entity string, o *order.Order) error {
	r, err := roles.Get(ctx, s, o.Role)
	if err != nil {
		return err
	}
	compiled, err := b.policyOf(r)
	if err != nil || !compiled.templated && !o.Owned {
		return err
	}
	ids := make([]identifier.Identifier, 0, len(o.Identifiers))
	for i := range o.Identifiers {
		id, err := identifier.Of(o.Identifiers[i].Identifier)
		if err != nil {
			return fmt.Errorf("reading the stored order: %w", err)
		}
		ids = append(ids, id)
	}
	return notYours(r.Name, b.mayOrder(entity, r, ids))
}

// notYours makes a rejection the answer to somebody who may not see an order.
func notYours(role string, err error) error {
	if rejection, ok := errors.AsType[*identifier.Rejection](err); ok {
		return forbidden("role %q does not allow you these names now, so what was ordered for them is not yours to use: %w", role, rejection)
	}
	return err
}

// identity is what placeholders are filled from; nobody's fills nothing.
type identity struct {
	entity *logical.Entity
	groups []*logical.Group
}

func (b *backend) identify(entityID string) (identity, error) {
	if entityID == "" {
		return identity{}, nil
	}
	entity, err := b.System().EntityInfo(entityID)
	if err != nil {
		return identity{}, fmt.Errorf("reading the caller's entity: %w", err)
	}
	groups, err := b.System().GroupsForEntity(entityID)
	if err != nil {
		return identity{}, fmt.Errorf("reading the caller's groups: %w", err)
	}
	return identity{entity, groups}, nil
}

// value gives what a placeholder stands for, false when there is nothing.
func (i identity) value(placeholder string) (string, bool) {
	if i.entity == nil || checkPlaceholder(placeholder) != nil {
		return "", false
	}
	_, value, err := identitytpl.PopulateString(identitytpl.PopulateStringInput{
		String: "{{" + expandGroup(placeholder) + "}}",
		Entity: i.entity, Groups: i.groups, Mode: identitytpl.ACLTemplating,
	})
	return value, err == nil && value != ""
}

// expandGroup completes identity.groups.names.<group>, which stands for the
// name of a group that the caller is a member of, to the form that Vault knows.
func expandGroup(placeholder string) string {
	p := strings.TrimSpace(placeholder)
	rest, ok := strings.CutPrefix(p, "identity.groups.names.")
	if ok && rest != "" && !strings.Contains(rest, ".") {
		return p + ".name"
	}
	return p
}

// placeholders are those that Vault fills from an identity. Vault itself says
// nothing about others, and fills some that are not of an identity.
var placeholders = regexp.MustCompile(`^identity\.(` +
	`entity\.(id|name|metadata\..+|aliases\.[^.]+\.(id|name|metadata\..+|custom_metadata\..+))|` +
	`groups\.(names|ids)\.[^.]+\.(id|name|metadata\..+))$`)

// checkPlaceholder refuses a placeholder that no identity fills.
func checkPlaceholder(placeholder string) error {
	if !placeholders.MatchString(expandGroup(placeholder)) {
		return fmt.Errorf("{{%s}} is not a template of an identity; use for example {{identity.entity.name}}", placeholder)
	}
	return nil
}
