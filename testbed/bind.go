package testbed

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// BINDOptions says what BIND name server to start.
type BINDOptions struct {
	Dir   string   // folder for everything it writes; it must exist
	Zones []string // the zones it serves, without a dot at the end

	// Public is a second address that it is reachable at, from [FreeDNSAddress], for those who follow NS records.
	Public string
	// NameServers are the public addresses that the NS records of the zones lead to; its own if there are none.
	NameServers []string
	// Primary is where it copies the zones from. Without one, they are empty and take dynamic updates.
	Primary *BIND
}

// TSIGKey signs dynamic updates.
type TSIGKey struct {
	Name      string
	Algorithm string // "hmac-sha256"
	Secret    string // base64
}

// BIND is a running BIND 9.
type BIND struct {
	*Process
	nameServer

	// Keys may change everything; there is one for each algorithm, by that.
	Keys map[string]TSIGKey
	// Powerless may change nothing.
	Powerless TSIGKey
}

// StartBIND starts a name server. It returns when the zones can be asked for.
func StartBIND(ctx context.Context, o BINDOptions) (*BIND, error) {
	program, err := systemProgram(o.Dir, "named", "bind9")
	if err != nil {
		return nil, err
	}
	b := &BIND{Keys: map[string]TSIGKey{}, Powerless: newTSIGKey("powerless", "hmac-sha256")}
	for _, algorithm := range []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"} {
		b.Keys[algorithm] = newTSIGKey("key-"+algorithm, algorithm)
	}
	if err := b.listen(o.Public); err != nil {
		return nil, err
	}
	config, err := b.prepare(o)
	if err != nil {
		return nil, fmt.Errorf("prepare named: %w", err)
	}
	b.Process, err = start(ctx, launch{
		name: "named", path: program, args: []string{"-g", "-4", "-n", "1", "-c", config}, log: filepath.Join(o.Dir, "named.log"),
	})
	if err != nil {
		return nil, err
	}
	err = b.ready(ctx, nameServerLimit, func(ctx context.Context) error { return b.serves(ctx, o.Zones) })
	if err == nil {
		err = b.open(b.Process)
	}
	if err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

func newTSIGKey(name, algorithm string) TSIGKey {
	return TSIGKey{Name: name, Algorithm: algorithm, Secret: base64.StdEncoding.EncodeToString([]byte(rand.Text()))}
}

// prepare writes the files that named reads, and returns the configuration's path.
func (b *BIND) prepare(o BINDOptions) (string, error) {
	files := map[string]string{"root.zone": emptyZone([]string{"127.0.0.1"})}
	if o.Primary == nil {
		servers := o.NameServers
		if len(servers) == 0 {
			servers = []string{cmp.Or(b.Public, b.Addr)}
		}
		for _, zone := range o.Zones {
			files[zone+".zone"] = emptyZone(servers)
		}
	}
	files["named.conf"] = b.config(o)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(o.Dir, name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(o.Dir, "named.conf"), nil
}

// config allows recursion, without which BIND follows no alias from one of its zones into another. The empty root
// keeps it from asking the world.
func (b *BIND) config(o BINDOptions) string {
	_, port, _ := strings.Cut(b.Addr, ":")
	config := &strings.Builder{}
	_, _ = fmt.Fprintf(config, `options {
	directory %q; pid-file none; session-keyfile none; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion yes; dnssec-validation no; empty-zones-enable no; notify-delay 0; serial-query-rate 1000;
};
controls { };
zone "." { type primary; file "root.zone"; };
`, o.Dir, port)
	allowed := ""
	for _, key := range b.Keys {
		config.WriteString(key.config())
		allowed += fmt.Sprintf("key %q; ", key.Name)
	}
	config.WriteString(b.Powerless.config())
	kind := fmt.Sprintf("type primary; allow-update { %s}", allowed)
	if o.Primary != nil {
		kind = fmt.Sprintf("type secondary; primaries { %s; }", strings.ReplaceAll(o.Primary.Addr, ":", " port "))
	}
	for _, zone := range o.Zones {
		_, _ = fmt.Fprintf(config, "zone %q { %s; file %q; };\n", zone, kind, zone+".zone")
	}
	return config.String()
}

func (k TSIGKey) config() string {
	return fmt.Sprintf("key %q { algorithm %s; secret %q; };\n", k.Name, k.Algorithm, k.Secret)
}

// emptyZone is a zone file with name servers at these addresses.
func emptyZone(servers []string) string {
	zone := &strings.Builder{}
	_, _ = fmt.Fprint(zone, "$TTL 5\n@ IN SOA ns1 hostmaster 1 3600 600 86400 5\n")
	for i, address := range servers {
		host, _, _ := strings.Cut(address, ":")
		_, _ = fmt.Fprintf(zone, "@ IN NS ns%d\nns%[1]d IN A %s\n", i+1, host)
	}
	return zone.String()
}

func (b *BIND) serves(ctx context.Context, zones []string) error {
	for _, zone := range zones {
		if _, err := b.TXT(ctx, zone); err != nil {
			return fmt.Errorf("zone %s: %w", zone, err)
		}
	}
	return nil
}

// AddCNAME makes name, which must be in zone, an alias of target.
func (b *BIND) AddCNAME(ctx context.Context, zone, name, target string) error {
	key := b.Keys["hmac-sha256"]
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	m.Insert([]dns.RR{&dns.CNAME{
		Hdr:    dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 5},
		Target: dns.Fqdn(target),
	}})
	return b.update(ctx, key, m)
}

func (b *BIND) update(ctx context.Context, key TSIGKey, m *dns.Msg) error {
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{dns.Fqdn(key.Name): key.Secret}}
	m.SetTsig(dns.Fqdn(key.Name), dns.Fqdn(key.Algorithm), 300, time.Now().Unix())
	answer, _, err := client.ExchangeContext(ctx, m, b.Addr)
	if answer != nil && answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("named answered the update with %s", dns.RcodeToString[answer.Rcode])
	}
	return err
}
