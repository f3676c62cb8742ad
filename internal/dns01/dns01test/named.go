package dns01test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Algorithms are those that [Named] has a key for.
var Algorithms = []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}

// Named is a BIND 9 name server on 127.0.0.1. It takes dynamic updates of TXT
// records that are signed with one of its keys: there is one for each of
// [Algorithms], called like it and all with the same secret. The key "nobody"
// may change nothing.
type Named struct {
	// Addr is host:port, for both UDP and TCP.
	Addr string
	// Secret is that of the keys, in base64.
	Secret string
	// Lookup gives the TXT values at a name.
	Lookup func(name string) []string
}

// StartNamed runs BIND for these zones until the test ends. Records are lines
// of zone files with absolute names, each put into the first zone that it
// belongs to.
func StartNamed(t testing.TB, zones []string, records ...string) *Named {
	t.Helper()
	dir := t.TempDir()
	n := &Named{Addr: freeAddress(t), Secret: base64.StdEncoding.EncodeToString([]byte(rand.Text()))}
	n.Lookup = mustLookup(t, n.Addr)
	_, port := split(t, n.Addr)
	config := &strings.Builder{}
	fmt.Fprintf(config, `options {
	directory "%s"; pid-file none; session-keyfile none; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no;
};
controls { };
`, dir, port)
	for _, algorithm := range Algorithms {
		fmt.Fprintf(config, "key %q { algorithm %[1]s; secret %q; };\n", algorithm, n.Secret)
	}
	fmt.Fprintf(config, "key nobody { algorithm hmac-sha256; secret %q; };\n", n.Secret)
	for _, zone := range zones {
		grants := ""
		for _, algorithm := range Algorithms {
			grants += fmt.Sprintf("grant %s zonesub TXT; ", algorithm)
		}
		fmt.Fprintf(config, "zone %q { type primary; file %q; update-policy { %s}; };\n", zone, zone+".zone", grants)
		write(t, filepath.Join(dir, zone+".zone"), zoneFile(zone, records))
	}
	path := filepath.Join(dir, "named.conf")
	write(t, path, config.String())
	log := daemon(t, dir, "named", "bind9", "-g", "-4", "-n", "1", "-c", path)
	untilReady(t, log, func(ctx context.Context) error {
		_, err := lookup(ctx, n.Addr, zones[0])
		return err
	})
	return n
}

func zoneFile(zone string, records []string) string {
	own := slices.DeleteFunc(slices.Clone(records), func(line string) bool {
		name, _, _ := strings.Cut(line, " ")
		return !strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(zone)+".")
	})
	return fmt.Sprintf(`$TTL 60
@ IN SOA ns1 hostmaster 1 3600 600 86400 300
@ IN NS ns1
ns1 IN A 127.0.0.1
%s
`, strings.Join(own, "\n"))
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
