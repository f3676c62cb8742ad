package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// acmeDNSSettings is one name at an acme-dns server, as it answered at the
// registration. Names to be proven lead there by CNAME.
type acmeDNSSettings struct {
	BaseURL    string      `json:"base_url"`
	Username   string      `json:"username"`
	Password   secret.Text `json:"password"`
	Subdomain  string      `json:"subdomain"`
	FullDomain string      `json:"full_domain"`
}

var acmeDNS = definition[acmeDNSSettings]{
	name:     "acme-dns",
	synopsis: "Configure acme-dns DNS provider for DNS-01 ACME challenges",
	ttl:      "1s",
	fields: field.Set[acmeDNSSettings]{
		field.Text("base_url", "URL of the API of the acme-dns server", parseHTTPSURL,
			func(s *acmeDNSSettings) *string { return &s.BaseURL }),
		field.Text("username", "User name that the registration gave", parseHeaderText,
			func(s *acmeDNSSettings) *string { return &s.Username }),
		field.Text("password", "Password that the registration gave", parseCredential,
			func(s *acmeDNSSettings) *secret.Text { return &s.Password }).Hidden(),
		field.Text("subdomain", "Subdomain that the registration gave", parseHeaderText,
			func(s *acmeDNSSettings) *string { return &s.Subdomain }),
		field.Text("full_domain", "Full domain that the registration gave, which _acme-challenge.<name> is a CNAME to", parseZoneName,
			func(s *acmeDNSSettings) *string { return &s.FullDomain }),
	},
	check: func(s *acmeDNSSettings) error {
		for _, f := range []struct{ name, value string }{
			{"base_url", s.BaseURL},
			{"username", s.Username},
			{"password", s.Password.Reveal()},
			{"subdomain", s.Subdomain},
			{"full_domain", s.FullDomain},
		} {
			if f.value == "" {
				return fmt.Errorf("%s is required; the registration at the acme-dns server gives it", f.name)
			}
		}
		return nil
	},
	open: func(s *acmeDNSSettings, label string, o Options) (dns01.Provider, error) {
		return &acmeDNSName{settings: s, api: &api{
			label: label, base: s.BaseURL, transport: o.carrier(), now: o.Now, secrets: []secret.Text{s.Password},
			sign: func(r *http.Request, _ []byte) {
				r.Header.Set("X-Api-User", s.Username)
				r.Header.Set("X-Api-Key", s.Password.Reveal())
			},
		}}, nil
	},
}

// acmeDNSKept is how many values an acme-dns server keeps of a name. A new one
// takes the place of the oldest.
const acmeDNSKept = 2

// acmeDNSName writes values of the one name.
type acmeDNSName struct {
	settings *acmeDNSSettings
	api      *api

	mu sync.Mutex
	// wanted are the newest values that were added and not removed, the oldest
	// first.
	wanted []string
}

// Add implements dns01.Provider. A value that is there would push out the other
// one if it were sent again by itself; so everything that is still wanted is
// sent, in order, after which exactly that is there.
func (p *acmeDNSName) Add(ctx context.Context, r dns01.Record) error {
	return p.api.failed(p.settings.FullDomain, r, p.add(ctx, r))
}

func (p *acmeDNSName) add(ctx context.Context, r dns01.Record) error {
	if r.Name != p.settings.FullDomain {
		return refusal{fmt.Errorf("this acme-dns account writes %s only; make the record's name a CNAME to it", p.settings.FullDomain)}
	}
	unlock, err := recordSets.lock(ctx, "acme-dns/"+p.settings.BaseURL+"/"+p.settings.Subdomain)
	if err != nil {
		return fmt.Errorf("waiting for others that write the name: %w", err)
	}
	defer unlock()
	for _, value := range p.toSend(r.Value) {
		err := p.api.do(ctx, http.MethodPost, "/update", map[string]string{"subdomain": p.settings.Subdomain, "txt": value}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// toSend notes that a value is wanted, and tells what to send for it.
func (p *acmeDNSName) toSend(value string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.wanted, value) {
		return slices.Clone(p.wanted)
	}
	p.wanted = append(p.wanted, value)
	p.wanted = slices.Clone(p.wanted[max(0, len(p.wanted)-acmeDNSKept):])
	return []string{value}
}

// Remove implements dns01.Provider. An acme-dns server cannot remove a value.
// It stays until two newer ones have come, which harms nobody: a value proves
// something for one challenge of one account only.
func (p *acmeDNSName) Remove(_ context.Context, r dns01.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = slices.DeleteFunc(p.wanted, func(v string) bool { return v == r.Value })
	return nil
}

// parseHTTPSURL takes the URL of an interface that is on the open network.
func parseHTTPSURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	base, err := parseBaseURL(text)
	if err == nil && !strings.HasPrefix(base, "https://") {
		err = errors.New("must be an https URL, because credentials are sent to it")
	}
	return base, err
}

// parseHeaderText takes what can be sent in a header.
func parseHeaderText(text string) (string, error) {
	checked, err := parseCredential(text)
	return checked.Reveal(), err
}
