package dns01test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
)

// PowerDNS is a PowerDNS Authoritative Server on 127.0.0.1 with its HTTP
// interface.
type PowerDNS struct {
	// Addr is host:port of the DNS, for both UDP and TCP.
	Addr string
	// URL is where the HTTP interface begins: "http://127.0.0.1:8081".
	URL string
	// Key is that of the HTTP interface.
	Key string
	// Lookup gives the TXT values at a name.
	Lookup func(name string) []string
}

// StartPowerDNS runs PowerDNS for these zones until the test ends.
func StartPowerDNS(t testing.TB, zones ...string) *PowerDNS {
	t.Helper()
	dir := t.TempDir()
	web := freeAddress(t)
	p := &PowerDNS{Addr: freeAddress(t), URL: "http://" + web, Key: rand.Text()}
	p.Lookup = mustLookup(t, p.Addr)
	host, port := split(t, p.Addr)
	_, webPort := split(t, web)
	// The LMDB backend makes its database itself.
	write(t, filepath.Join(dir, "pdns.conf"), fmt.Sprintf(`launch=lmdb
lmdb-filename=%[1]s/pdns.lmdb
lmdb-shards=1
socket-dir=%[1]s
local-address=%[2]s
local-port=%[3]s
api=yes
api-key=%[4]s
webserver=yes
webserver-address=%[2]s
webserver-port=%[5]s
security-poll-suffix=
write-pid=no
`, dir, host, port, p.Key, webPort))
	log := daemon(t, dir, "pdns_server", "pdns-server pdns-backend-lmdb", "--config-dir="+dir)
	untilReady(t, log, func(ctx context.Context) error {
		return p.post(ctx, "/api/v1/servers/localhost/zones", newZone(zones[0]))
	})
	for _, zone := range zones[1:] {
		if err := p.post(t.Context(), "/api/v1/servers/localhost/zones", newZone(zone)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func newZone(name string) map[string]any {
	return map[string]any{"name": name + ".", "kind": "Native", "nameservers": []string{"ns1." + name + "."}}
}

func (p *PowerDNS) post(ctx context.Context, path string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	r.Header.Set("X-API-Key", p.Key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // its status is all
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST %s: %s", path, response.Status)
	}
	return nil
}
