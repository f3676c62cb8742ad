package dnsprovider

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// webhookSettings is a program of the operator's own that writes records, and
// speaks the protocol that lego calls httpreq.
type webhookSettings struct {
	Endpoint string      `json:"endpoint"`
	Username string      `json:"username,omitempty"`
	Password secret.Text `json:"password,omitempty"`
}

var webhook = definition[webhookSettings]{
	name:     "webhook",
	synopsis: "Configure a webhook as DNS provider for DNS-01 ACME challenges",
	ttl:      "60s",
	fields: field.Set[webhookSettings]{
		field.Text("endpoint", "URL that /present and /cleanup are appended to", parseHTTPSURL,
			func(s *webhookSettings) *string { return &s.Endpoint }),
		field.Text("username", "User name for HTTP basic authentication", parseBasicUser,
			func(s *webhookSettings) *string { return &s.Username }),
		field.Text("password", "Password for HTTP basic authentication", parseCredential,
			func(s *webhookSettings) *secret.Text { return &s.Password }).Hidden(),
	},
	check: func(s *webhookSettings) error {
		switch {
		case s.Endpoint == "":
			return errors.New("endpoint is required")
		case (s.Username == "") != (s.Password == ""):
			return errors.New("username and password belong together; send both or none")
		}
		return nil
	},
	open: func(s *webhookSettings, label string, o Options) (dns01.Provider, error) {
		a := &api{label: label, base: s.Endpoint, transport: o.carrier(), now: o.Now}
		if s.Username != "" {
			pair := base64.StdEncoding.EncodeToString([]byte(s.Username + ":" + s.Password.Reveal()))
			a.secrets = []secret.Text{s.Password, secret.Text(pair)}
			a.sign = func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Basic "+pair) }
		}
		return webhookCaller{a}, nil
	},
}

// webhookCaller sends each change to the webhook, which does what is promised
// here: that both calls may be repeated, and that each is about one value.
type webhookCaller struct{ api *api }

// Add implements dns01.Provider.
func (c webhookCaller) Add(ctx context.Context, r dns01.Record) error {
	return c.call(ctx, "/present", r)
}

// Remove implements dns01.Provider.
func (c webhookCaller) Remove(ctx context.Context, r dns01.Record) error {
	return c.call(ctx, "/cleanup", r)
}

func (c webhookCaller) call(ctx context.Context, path string, r dns01.Record) error {
	err := c.api.do(ctx, http.MethodPost, path, map[string]string{"fqdn": r.Name + ".", "value": r.Value}, nil)
	return c.api.failed("", r, err)
}

// parseBasicUser takes a user name by RFC 7617 §2, which a colon would end.
func parseBasicUser(text string) (string, error) {
	if strings.Contains(text, ":") {
		return "", errors.New("must not hold a colon, which basic authentication cannot send")
	}
	return parseHeaderText(text)
}
