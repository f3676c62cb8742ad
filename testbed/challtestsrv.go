package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
)

// ChalltestsrvOptions says what DNS server to start.
type ChalltestsrvOptions struct {
	Binary string // the pebble-challtestsrv binary; see Build
	Dir    string // folder for its log; it must exist
}

// Challtestsrv is a DNS server for a CA under test: it resolves every name to 127.0.0.1, and holds the TXT
// records it is told.
type Challtestsrv struct {
	*Process
	Resolver      string // host:port, over UDP and TCP
	ManagementURL string
}

// StartChalltestsrv starts a DNS server. It returns when its management interface answers.
func StartChalltestsrv(ctx context.Context, o ChalltestsrvOptions) (*Challtestsrv, error) {
	ports, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	management := Loopback(ports[1])
	c := &Challtestsrv{Resolver: Loopback(ports[0]), ManagementURL: "http://" + management}
	c.Process, err = start(ctx, launch{
		name: "pebble-challtestsrv", path: o.Binary, log: filepath.Join(o.Dir, "challtestsrv.log"),
		args: []string{
			"-dnsserver", c.Resolver, "-management", management, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
			"-http01", "", "-https01", "", "-doh", "", "-tlsalpn01", "",
		},
	})
	if err != nil {
		return nil, err
	}
	probe := func(ctx context.Context) error { return c.SetTXT(ctx, "ready.test.", "yes") }
	if err := c.ready(ctx, caLimit, probe); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// SetTXT adds a TXT record. The name is absolute: it ends in a dot.
func (c *Challtestsrv) SetTXT(ctx context.Context, name, value string) error {
	return c.post(ctx, "/set-txt", map[string]string{"host": name, "value": value})
}

func (c *Challtestsrv) post(ctx context.Context, path string, body map[string]string) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.ManagementURL+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s: %s: %w", path, response.Status, strings.TrimSpace(string(answer)), err)
	}
	return nil
}
