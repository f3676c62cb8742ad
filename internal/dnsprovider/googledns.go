package dnsprovider

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	googledns "google.golang.org/api/dns/v1"
	"google.golang.org/api/option"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// googleSettings is public managed zones of Google Cloud DNS. Without
// credentials the service account of the virtual machine is used; environment
// variables and files of the process never are.
type googleSettings struct {
	// Credentials is the JSON of a service account's key.
	Credentials secret.Text `json:"credentials,omitempty"`
	Project     string      `json:"project,omitempty"`
	// ZoneName is what the managed zone is called, which is not its DNS name.
	ZoneName    string `json:"zone_name,omitempty"`
	Impersonate string `json:"impersonate_service_account,omitempty"`
}

var googleCloudDNS = definition[googleSettings]{
	name:     "google-cloud-dns",
	synopsis: "Configure Google Cloud DNS provider for DNS-01 ACME challenges",
	ttl:      "10s",
	fields: field.Set[googleSettings]{
		field.Text("credentials", "GCP service account credentials as JSON content", parseServiceAccount,
			func(s *googleSettings) *secret.Text { return &s.Credentials }).Hidden(),
		field.Text("project", "GCP project name",
			form(regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z0-9-]{1,63}$`), "the id of a project"),
			func(s *googleSettings) *string { return &s.Project }),
		field.Text("zone_name", "GCP DNS zone name",
			form(regexp.MustCompile(`^[a-z0-9-]{1,63}$`), "the name of a managed zone, such as example-com; that is not its DNS name"),
			func(s *googleSettings) *string { return &s.ZoneName }),
		field.Text("impersonate_service_account", "Service account email to impersonate",
			form(regexp.MustCompile(`^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+$`), "the e-mail address of a service account"),
			func(s *googleSettings) *string { return &s.Impersonate }),
	},
	open: openGoogle,
}

// openGoogle names client and endpoint, which the library would else choose by
// the environment.
func openGoogle(s *googleSettings, label string, o Options) (dns01.Provider, error) {
	client := o.client()
	client.Transport = &bearer{source: s.tokens(o), next: client.Transport}
	service, err := googledns.NewService(context.Background(), option.WithHTTPClient(client), option.WithEndpoint("https://dns.googleapis.com/"))
	if err != nil {
		return nil, err
	}
	sets := &googleSets{settings: s, options: o, service: service}
	return &setProvider{label: label, scope: "google-cloud-dns/" + s.Project, service: sets}, nil
}

// googleTokenURIs are what key files name as the place for assertions. All are
// sent to the first: a place that the sender of the settings may choose would
// let them send requests from this machine.
var googleTokenURIs = []string{googleTokenURL, "https://accounts.google.com/o/oauth2/token", "https://www.googleapis.com/oauth2/v4/token", ""}

// parseServiceAccount takes the key of a service account only. Other kinds of
// credentials name commands to run, files to read or URLs to ask.
func parseServiceAccount(text string) (secret.Text, error) {
	if text == "" {
		return "", nil
	}
	a, err := (&googleSettings{Credentials: secret.Text(text)}).account()
	switch {
	case err != nil:
		return "", err
	case a.Type != "service_account":
		return "", fmt.Errorf("must be the key of a service account; the type %.40q is not accepted", a.Type)
	case a.ClientEmail == "" || a.PrivateKey == "":
		return "", errors.New("must be the whole key of a service account, with client_email and private_key")
	case !slices.Contains(googleTokenURIs, a.TokenURI):
		return "", fmt.Errorf("has the token_uri %.200q; only %s is asked for tokens", a.TokenURI, googleTokenURL)
	}
	return secret.Text(text), checkGoogleKey(a.PrivateKey)
}

func checkGoogleKey(text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("has a private_key that is not PEM")
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if _, ok := key.(*rsa.PrivateKey); err != nil || !ok {
		return errors.New("has a private_key that is not an RSA key")
	}
	return nil
}

// project is that of the settings, of the key, or of the virtual machine.
func (s *googleSettings) project(ctx context.Context, o Options) (string, error) {
	if s.Project != "" {
		return s.Project, nil
	}
	if a, err := s.account(); err == nil {
		if a.ProjectID == "" {
			return "", refusal{errors.New("project is not set, and the key names none")}
		}
		return a.ProjectID, nil
	}
	var id string
	if err := o.metadata("Metadata-Flavor", "Google").do(ctx, http.MethodGet, "/computeMetadata/v1/project/project-id?alt=json", nil, &id); err != nil {
		return "", fmt.Errorf("project is not set, and the metadata service of the virtual machine does not tell: %w", err)
	}
	return id, nil
}
