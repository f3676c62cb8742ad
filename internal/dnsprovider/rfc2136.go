package dnsprovider

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// rfc2136Settings is a name server that takes dynamic updates (RFC 2136) signed
// with TSIG (RFC 8945).
type rfc2136Settings struct {
	Nameserver string      `json:"nameserver"`
	KeyName    string      `json:"tsig_key_name"`
	Secret     secret.Text `json:"tsig_secret"`
	Algorithm  string      `json:"tsig_algorithm"`
}

var tsigAlgorithms = []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}

var rfc2136 = definition[rfc2136Settings]{
	name:     "rfc2136",
	synopsis: "Configure RFC2136 DNS provider for DNS-01 ACME challenges",
	ttl:      "60s",
	fields: field.Set[rfc2136Settings]{
		field.Text("nameserver", "DNS server address (IP:port format, e.g., 192.168.1.1:53)", parseNameserver,
			func(s *rfc2136Settings) *string { return &s.Nameserver }),
		field.String("tsig_key_name", "TSIG key name for authenticated DNS updates",
			func(s *rfc2136Settings) *string { return &s.KeyName }),
		field.Text("tsig_secret", "TSIG secret (base64 encoded) for authenticated DNS updates", parseTSIGSecret,
			func(s *rfc2136Settings) *secret.Text { return &s.Secret }).Hidden(),
		field.Text("tsig_algorithm", "TSIG algorithm (e.g., hmac-sha256, hmac-sha512). Defaults to hmac-sha256", parseTSIGAlgorithm,
			func(s *rfc2136Settings) *string { return &s.Algorithm }).Default("hmac-sha256"),
	},
	check: func(s *rfc2136Settings) error {
		switch {
		case s.Nameserver == "":
			return errors.New("nameserver is required")
		case (s.KeyName == "") != (s.Secret == ""):
			return errors.New("tsig_key_name and tsig_secret belong together; send both or none")
		}
		return nil
	},
	open: func(s *rfc2136Settings, label string, _ Options) (dns01.Provider, error) {
		return &dns01.Updater{
			Label: label, Nameserver: s.Nameserver,
			KeyName: s.KeyName, Secret: s.Secret, Algorithm: s.Algorithm,
		}, nil
	},
}

func parseTSIGSecret(text string) (secret.Text, error) {
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		return "", errors.New("is not base64")
	}
	return secret.Text(text), nil
}

func parseTSIGAlgorithm(text string) (string, error) {
	if !slices.Contains(tsigAlgorithms, text) {
		return "", fmt.Errorf("%.64q is not one of %s", text, strings.Join(tsigAlgorithms, ", "))
	}
	return text, nil
}
