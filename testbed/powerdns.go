package testbed

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// PowerDNSOptions says what PowerDNS server to start.
type PowerDNSOptions struct {
	Dir    string   // folder for everything it writes; it must exist
	Zones  []string // the zones it serves, without a dot at the end
	Public string   // a second address that it is reachable at, from FreeDNSAddress; the NS records lead there
}

// PowerDNS is a running PowerDNS Authoritative Server.
type PowerDNS struct {
	*Process
	nameServer

	URL string // where its HTTP interface begins
	Key string // of the HTTP interface
}

// StartPowerDNS starts a name server. It returns when the zones are made.
func StartPowerDNS(ctx context.Context, o PowerDNSOptions) (*PowerDNS, error) {
	program, err := systemProgram(o.Dir, "pdns_server", "pdns-server pdns-backend-lmdb")
	if err != nil {
		return nil, err
	}
	web, err := FreePort()
	if err != nil {
		return nil, err
	}
	p := &PowerDNS{URL: "http://" + Loopback(web), Key: rand.Text()}
	if err := p.listen(o.Public); err != nil {
		return nil, err
	}
	if err := p.prepare(o.Dir, web); err != nil {
		return nil, fmt.Errorf("prepare pdns_server: %w", err)
	}
	p.Process, err = start(ctx, launch{
		name: "pdns_server", path: program, args: []string{"--config-dir=" + o.Dir}, log: filepath.Join(o.Dir, "pdns.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := p.populate(ctx, o.Zones); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *PowerDNS) populate(ctx context.Context, zones []string) error {
	answers := func(ctx context.Context) error { return p.send(ctx, http.MethodGet, "", nil) }
	if err := p.ready(ctx, nameServerLimit, answers); err != nil {
		return err
	}
	for _, zone := range zones {
		if err := p.addZone(ctx, zone); err != nil {
			return err
		}
	}
	return p.open(p.Process)
}

// prepare writes the configuration. Of the databases that it can use, LMDB is the one it makes itself.
func (p *PowerDNS) prepare(dir string, web int) error {
	_, port, _ := strings.Cut(p.Addr, ":")
	config := []string{
		"launch=lmdb", "lmdb-filename=" + filepath.Join(dir, "pdns.lmdb"), "lmdb-shards=1", "socket-dir=" + dir,
		"local-address=127.0.0.1", "local-port=" + port, "api=yes", "api-key=" + p.Key,
		"webserver=yes", "webserver-address=127.0.0.1", fmt.Sprintf("webserver-port=%d", web),
		"security-poll-suffix=", "write-pid=no", "",
	}
	return os.WriteFile(filepath.Join(dir, "pdns.conf"), []byte(strings.Join(config, "\n")), 0o600)
}

// addZone makes a zone whose only name server is this one.
func (p *PowerDNS) addZone(ctx context.Context, zone string) error {
	err := p.send(ctx, http.MethodPost, "/zones", map[string]any{
		"name": zone + ".", "kind": "Native", "nameservers": []string{"ns1." + zone + "."},
	})
	if err != nil {
		return err
	}
	host, _, _ := strings.Cut(cmp.Or(p.Public, p.Addr), ":")
	return p.set(ctx, zone, "ns1."+zone, "A", host)
}

// AddCNAME makes name, which must be in zone, an alias of target.
func (p *PowerDNS) AddCNAME(ctx context.Context, zone, name, target string) error {
	return p.set(ctx, zone, name, "CNAME", target+".")
}

func (p *PowerDNS) set(ctx context.Context, zone, name, recordType, content string) error {
	return p.send(ctx, http.MethodPatch, "/zones/"+zone+".", map[string]any{"rrsets": []map[string]any{{
		"name": name + ".", "type": recordType, "ttl": 5, "changetype": "REPLACE",
		"records": []map[string]any{{"content": content, "disabled": false}},
	}}})
}

func (p *PowerDNS) send(ctx context.Context, method, path string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, p.URL+"/api/v1/servers/localhost"+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", p.Key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s: %w", method, path, response.Status, strings.TrimSpace(string(answer)), err)
	}
	return nil
}
