package testbed

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// caLimit is how long Pebble and its DNS server may take to answer after their start.
const caLimit = 30 * time.Second

// PebbleOptions says what ACME CA to start.
type PebbleOptions struct {
	Binary   string // the pebble binary; see Build
	Dir      string // folder for everything it writes; it must exist
	Resolver string // DNS server it asks, as host:port
	HTTPPort int    // port it connects to for http-01; one of its own choosing if 0
	TLSPort  int    // port it connects to for tls-alpn-01; one of its own choosing if 0

	// ReuseAuthorizations is the chance, in percent, that a new order gets an authorization that is valid
	// already. Pebble's own default is 50; 0 here, so that runs are alike.
	ReuseAuthorizations int
	// ExternalAccounts are MAC keys (base64url) by key identifier. If there are any, every new account needs
	// one (RFC 8555, section 7.3.4).
	ExternalAccounts map[string]string
	// Blocked are names for which it refuses orders.
	Blocked []string
	// Profiles are how long certificates are valid, by profile (the name of which an order may ask for), in whole
	// seconds; if there are none, it is 90 days.
	Profiles map[string]time.Duration
	// Env is added to its environment, for switches of Pebble that have no field here.
	Env []string
}

// Pebble is a running ACME CA. It rejects one nonce in twenty, as it does by default, so that whoever talks
// to it has to cope.
type Pebble struct {
	*Process
	DirectoryURL  string
	ManagementURL string
	TrustedCA     string // PEM; who trusts it can connect to either URL
	HTTPPort      int
	TLSPort       int

	client *http.Client
}

// StartPebble starts a CA with a TLS certificate made for it. It returns when the directory can be fetched.
func StartPebble(ctx context.Context, o PebbleOptions) (*Pebble, error) {
	ports, err := FreePorts(4)
	if err != nil {
		return nil, err
	}
	p := &Pebble{
		DirectoryURL:  "https://" + Loopback(ports[0]) + "/dir",
		ManagementURL: "https://" + Loopback(ports[1]),
		HTTPPort:      orDefault(o.HTTPPort, ports[2]),
		TLSPort:       orDefault(o.TLSPort, ports[3]),
	}
	config, err := p.prepare(o, Loopback(ports[0]), Loopback(ports[1]))
	if err != nil {
		return nil, fmt.Errorf("prepare pebble: %w", err)
	}
	env := []string{"PEBBLE_VA_NOSLEEP=1", fmt.Sprintf("PEBBLE_AUTHZREUSE=%d", o.ReuseAuthorizations)}
	p.Process, err = start(ctx, launch{
		name: "pebble", path: o.Binary, args: []string{"-config", config, "-dnsserver", o.Resolver},
		env: append(env, o.Env...), log: filepath.Join(o.Dir, "pebble.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, caLimit, p.answers); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// prepare makes the TLS certificate, writes the files that Pebble reads, and returns the configuration's
// path.
func (p *Pebble) prepare(o PebbleOptions, listen, management string) (string, error) {
	tlsFiles, err := newServerCertificate()
	if err != nil {
		return "", err
	}
	p.TrustedCA = string(tlsFiles.ca)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(tlsFiles.ca)
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}

	file := func(name string) string { return filepath.Join(o.Dir, name) }
	config, err := json.MarshalIndent(map[string]any{"pebble": map[string]any{
		"listenAddress":                  listen,
		"managementListenAddress":        management,
		"certificate":                    file("pebble.crt"),
		"privateKey":                     file("pebble.key"),
		"httpPort":                       p.HTTPPort,
		"tlsPort":                        p.TLSPort,
		"keyAlgorithm":                   "ecdsa",
		"domainBlocklist":                o.Blocked,
		"externalAccountBindingRequired": len(o.ExternalAccounts) > 0,
		"externalAccountMACKeys":         o.ExternalAccounts,
		"retryAfter":                     map[string]int{"authz": 1, "order": 1},
		"profiles":                       o.profiles(),
	}}, "", "  ")
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{
		"pebble.crt": tlsFiles.cert, "pebble.key": tlsFiles.key, "pebble-ca.pem": tlsFiles.ca, "pebble.json": config,
	} {
		if err := os.WriteFile(file(name), content, 0o600); err != nil {
			return "", err
		}
	}
	return file("pebble.json"), nil
}

// profiles are as Pebble reads them.
func (o PebbleOptions) profiles() map[string]any {
	out := map[string]any{}
	for name, life := range o.Profiles {
		out[name] = map[string]any{"description": name, "validityPeriod": int(life.Seconds())}
	}
	return out
}

// answers tells whether both interfaces answer.
func (p *Pebble) answers(ctx context.Context) error {
	if _, err := p.Root(ctx); err != nil {
		return err
	}
	_, err := p.get(ctx, p.DirectoryURL)
	return err
}

// Root is the root of the certificates that it issues, in PEM form.
func (p *Pebble) Root(ctx context.Context) (string, error) { return p.RootNumber(ctx, 0) }

// RootNumber is one of several roots, of which the first is number 0.
func (p *Pebble) RootNumber(ctx context.Context, number int) (string, error) {
	root, err := p.get(ctx, fmt.Sprintf("%s/roots/%d", p.ManagementURL, number))
	return string(root), err
}

// Suggest has it say of a certificate of its own (PEM) when to renew it, and why (RFC 9773, section 4.2).
func (p *Pebble) Suggest(ctx context.Context, certificate string, start, end time.Time, explanation string) error {
	info, err := json.Marshal(map[string]any{
		"suggestedWindow": map[string]time.Time{"start": start.UTC(), "end": end.UTC()}, "explanationURL": explanation,
	})
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"Certificate": certificate, "ARIResponse": string(info)})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.ManagementURL+"/set-renewal-info/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	_, err = p.do(request)
	return err
}

// CertificateStatus is what the CA itself says of a certificate it issued.
type CertificateStatus struct {
	Status string // "Valid" or "Revoked"
	Reason int    // of RFC 5280, section 5.3.1; 0 is unspecified
}

// CertificateStatus asks for the certificate with this serial number, in hex with or without colons.
func (p *Pebble) CertificateStatus(ctx context.Context, serial string) (CertificateStatus, error) {
	answer, err := p.get(ctx, p.ManagementURL+"/cert-status-by-serial/"+strings.ReplaceAll(serial, ":", ""))
	if err != nil {
		return CertificateStatus{}, err
	}
	var status CertificateStatus
	return status, json.Unmarshal(answer, &status)
}

func (p *Pebble) get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return p.do(request)
}

func (p *Pebble) do(request *http.Request) ([]byte, error) {
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", request.Method, request.URL, response.Status, body)
	}
	return body, err
}
