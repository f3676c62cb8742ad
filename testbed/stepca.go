package testbed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// StepCA is smallstep's CA as an ACME server: one more implementation. It hands out certificates for a day, and
// has neither renewal information nor profiles.
type StepCA struct {
	*Process
	DirectoryURL string
	TrustedCA    string // PEM; who trusts it can connect, and believes its certificates

	client *http.Client
}

// stepPart is built for those who ask only: with everything that it can keep keys in, it takes some time.
var stepPart = part{
	name: "step-ca", from: "testbed/stepca", main: "github.com/smallstep/certificates/cmd/step-ca", flags: []string{"-trimpath"},
	env: []string{"CGO_ENABLED=0"}, takes: "about 2 minutes on 2 cores, plus the download of its modules",
	sources: []string{"testbed/stepca/go.mod", "testbed/stepca/go.sum"},
}

// BuildStepCA makes the step-ca binary, unless it is there, and gives its path. Progress goes to w.
func BuildStepCA(ctx context.Context, w io.Writer) (string, error) {
	b, err := newBuilder(w)
	if err != nil {
		return "", err
	}
	defer b.unlock()
	return b.path(stepPart), b.make(ctx, stepPart)
}

// StartStepCA starts a CA that writes below dir and looks up challenges at the resolver, given as host:port.
func StartStepCA(ctx context.Context, binary, dir, resolver string) (*StepCA, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	listen := Loopback(ports[0])
	c := &StepCA{DirectoryURL: "https://" + listen + "/acme/acme/directory"}
	config, err := c.prepare(dir, listen)
	if err != nil {
		return nil, fmt.Errorf("prepare step-ca: %w", err)
	}
	c.Process, err = start(ctx, launch{
		name: "step-ca", path: binary, args: []string{config, "--resolver", resolver},
		env: []string{"STEPPATH=" + dir}, log: filepath.Join(dir, "step-ca.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := c.ready(ctx, caLimit, c.answers); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// prepare makes a root and what is below it, writes the files that step-ca reads, and returns the path of its
// configuration.
func (c *StepCA) prepare(dir, listen string) (config string, err error) {
	chain, err := newIssuingCA()
	if err != nil {
		return "", err
	}
	c.TrustedCA = string(chain.ca)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain.ca)
	c.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	file := func(name string) string { return filepath.Join(dir, name) }
	settings, err := json.MarshalIndent(map[string]any{
		"root": file("root.crt"), "crt": file("issuer.crt"), "key": file("issuer.key"),
		"address": listen, "dnsNames": []string{"127.0.0.1"},
		"db":        map[string]string{"type": "badgerv2", "dataSource": file("db")},
		"authority": map[string]any{"provisioners": []any{map[string]string{"type": "ACME", "name": "acme"}}},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{
		"root.crt": chain.ca, "issuer.crt": chain.cert, "issuer.key": chain.key, "ca.json": settings,
	} {
		if err := os.WriteFile(file(name), content, 0o600); err != nil {
			return "", err
		}
	}
	return file("ca.json"), nil
}

// answers tells whether the directory can be read.
func (c *StepCA) answers(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.DirectoryURL, nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the directory answers %s", response.Status)
	}
	return nil
}
