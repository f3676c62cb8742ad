package dnsprovider

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
)

// Common is the settings that every provider has.
type Common struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Identifiers are the names that the provider may write proofs for: exact
	// names, and "*.example.com" for everything below example.com.
	Identifiers []string      `json:"identifiers"`
	TTL         time.Duration `json:"ttl"`
	// ChallengeAlias is the name under which proofs are written instead of
	// _acme-challenge.<name>; "" for none.
	ChallengeAlias string      `json:"challenge_alias,omitempty"`
	Propagation    Propagation `json:"propagation"`
	// Deleted marks a provider that is kept only until the last record it wrote
	// has been removed. Nobody sees it any more.
	Deleted bool      `json:"deleted,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Label is how errors name the provider: "rfc2136/internal".
func (c *Common) Label() string { return c.Type + "/" + c.Name }

var checks = []dns01.Check{dns01.Authoritative, dns01.Recursive, dns01.None}

// Propagation is how long, where and how often a record is looked for. Zero
// values leave it to the mount's settings, and those to the defaults.
type Propagation struct {
	Check dns01.Check `json:"check,omitempty"`
	// Nameservers are resolvers as host:port; none means the system's.
	Nameservers []string      `json:"nameservers,omitempty"`
	Timeout     time.Duration `json:"timeout,omitempty"`
	Interval    time.Duration `json:"interval,omitempty"`
}

// Or fills what is not set from a fallback.
func (p Propagation) Or(fallback Propagation) Propagation {
	if p.Check == "" {
		p.Check = fallback.Check
	}
	if len(p.Nameservers) == 0 {
		p.Nameservers = fallback.Nameservers
	}
	if p.Timeout == 0 {
		p.Timeout = fallback.Timeout
	}
	if p.Interval == 0 {
		p.Interval = fallback.Interval
	}
	return p
}

// Defaults is what holds where neither provider nor mount says otherwise.
var Defaults = Propagation{Check: dns01.Authoritative, Timeout: 10 * time.Minute, Interval: 5 * time.Second}

// commonFields takes the default of ttl as it is published: "60s".
func commonFields(ttl string) field.Set[Common] {
	return append(field.Set[Common]{
		field.Shown("name", "Name of the DNS configuration", framework.TypeString, func(c *Common) any { return c.Name }),
		field.Shown("type", "Type of the DNS provider", framework.TypeString, func(c *Common) any { return c.Type }),
		field.Texts("identifiers",
			"List of DNS identifiers this provider can be used for. Supports wildcard patterns with leftmost * (e.g., *.example.com)",
			parseIdentifier, func(c *Common) *[]string { return &c.Identifiers }),
		field.Seconds("ttl", "TTL for DNS TXT records used in DNS-01 challenges", func(c *Common) *time.Duration { return &c.TTL }).
			Default(ttl),
		field.Text("challenge_alias", "Name to write the TXT records under instead of _acme-challenge.<name>, which must be a CNAME to it",
			parseAlias, func(c *Common) *string { return &c.ChallengeAlias }),
		field.Time("creation_date", "Configuration creation timestamp", func(c *Common) *time.Time { return &c.Created }),
		field.Time("last_updated_date", "Configuration last updated timestamp", func(c *Common) *time.Time { return &c.Updated }),
	}, field.Lift(PropagationFields(), func(c *Common) *Propagation { return &c.Propagation })...)
}

// PropagationFields are the fields about propagation, for a provider and for a
// mount.
func PropagationFields() field.Set[Propagation] {
	values := make([]any, len(checks))
	for i, c := range checks {
		values[i] = string(c)
	}
	return field.Set[Propagation]{
		field.Text("propagation_check", "Whom to ask whether a TXT record is visible: the zone's name servers, resolvers, or nobody",
			parseCheck, func(p *Propagation) *dns01.Check { return &p.Check }).OneOf(values...),
		field.Texts("nameservers", "Resolvers to ask, as host:port; the system's when empty", parseNameserver,
			func(p *Propagation) *[]string { return &p.Nameservers }),
		field.Seconds("propagation_timeout", "How long to wait for a TXT record to become visible", func(p *Propagation) *time.Duration { return &p.Timeout }),
		field.Seconds("propagation_interval", "How often to look whether a TXT record is visible", func(p *Propagation) *time.Duration { return &p.Interval }),
	}
}

func (c *Common) check() error {
	if len(c.Identifiers) == 0 {
		return errors.New("identifiers must hold at least one name; without one the provider would never be used")
	}
	if c.TTL < time.Second {
		return errors.New("ttl must be at least one second")
	}
	return nil
}

// parseIdentifier takes a name, or a name behind a leftmost star.
func parseIdentifier(text string) (string, error) {
	name, err := domainmatch.Parse(text)
	if err != nil {
		return "", err
	}
	return name.String(), nil
}

func parseAlias(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	// The first label usually begins with an underscore, which names for
	// certificates cannot have.
	plain := strings.TrimPrefix(strings.ToLower(text), "_")
	name, err := domainmatch.Parse(plain)
	if err != nil || name.IsWildcard() {
		return "", fmt.Errorf("%.200q is not a DNS name", text)
	}
	return strings.TrimSuffix(strings.ToLower(text), "."), nil
}

func parseCheck(text string) (dns01.Check, error) {
	if c := dns01.Check(text); text == "" || slices.Contains(checks, c) {
		return c, nil
	}
	return "", fmt.Errorf("%.64q is not one of %v", text, checks)
}

// parseNameserver takes host:port; a missing port is an error because it is
// more often forgotten than meant.
func parseNameserver(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "", fmt.Errorf("%.200q must be host:port, for example 192.0.2.53:53", text)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%.200q has no valid port", text)
	}
	return text, nil
}
