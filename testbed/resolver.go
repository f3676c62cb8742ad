package testbed

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// ResolverOptions says what resolver to start.
type ResolverOptions struct {
	Dir string // folder for everything it writes; it must exist
	// Forward says whom to ask, as host:port, for names at and below a zone, without a dot at its end.
	Forward map[string]string
	// Others is whom to ask for every other name.
	Others string
}

// Resolver is a running BIND 9 that answers for no zone itself but asks the servers of each. It follows aliases
// from one into another, as the resolver of a CA does, and remembers nothing, so that no test waits for a cache. That
// goes by whole seconds: who looks too early may be told again, within the same second, that there is nothing.
type Resolver struct {
	*Process
	nameServer
}

// StartResolver starts a resolver. It returns when it answers.
func StartResolver(ctx context.Context, o ResolverOptions) (*Resolver, error) {
	program, err := systemProgram(o.Dir, "named", "bind9")
	if err != nil {
		return nil, err
	}
	r := &Resolver{}
	if err := r.listen(""); err != nil {
		return nil, err
	}
	config := filepath.Join(o.Dir, "named.conf")
	if err := os.WriteFile(config, []byte(o.config(r.Addr)), 0o600); err != nil {
		return nil, err
	}
	r.Process, err = start(ctx, launch{
		name: "the resolver", path: program, args: []string{"-g", "-4", "-n", "1", "-c", config}, log: filepath.Join(o.Dir, "named.log"),
	})
	if err != nil {
		return nil, err
	}
	err = r.ready(ctx, nameServerLimit, func(ctx context.Context) error {
		client := dns.Client{Net: "tcp"} // any answer will do, a failure of those that it asks too
		_, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion("ready.test.", dns.TypeTXT), r.Addr)
		return err
	})
	if err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

func (o ResolverOptions) config(address string) string {
	_, port, _ := strings.Cut(address, ":")
	config := &strings.Builder{}
	_, _ = fmt.Fprintf(config, `options {
	directory %q; pid-file none; session-keyfile none; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion yes; dnssec-validation no; empty-zones-enable no; qname-minimization off; max-cache-ttl 0; max-ncache-ttl 0;
	forward only; forwarders { %s; };
};
controls { };
`, o.Dir, port, inBIND(o.Others))
	for _, zone := range slices.Sorted(maps.Keys(o.Forward)) {
		_, _ = fmt.Fprintf(config, "zone %q { type forward; forward only; forwarders { %s; }; };\n", zone, inBIND(o.Forward[zone]))
	}
	return config.String()
}

// inBIND writes host:port as BIND's configuration does.
func inBIND(address string) string { return strings.ReplaceAll(address, ":", " port ") }
