package dns01

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// queryTimeout is how long one server may take for one query.
	queryTimeout = 3 * time.Second
	// width is how many servers are asked at once.
	width = 16
	// maxServers bounds the addresses of one zone's name servers; well-run
	// zones have less than half of it.
	maxServers = 64
	// systemConfig is where Unix systems name their resolvers.
	systemConfig = "/etc/resolv.conf"
)

// Resolver looks into the DNS. It keeps nothing between calls.
type Resolver struct {
	// Nameservers are recursive resolvers as host:port, asked one after the
	// other until one answers. When empty they are the system's, read anew each
	// time.
	Nameservers []string
	// Dial replaces the usual way to connect; nil for that.
	Dial Dial
	// Timeout is how long one server may take for one query; 0 means 3 seconds.
	Timeout time.Duration
}

// server is one address of a name server or a resolver.
type server struct {
	name    string // of a name server, relative; "" of a resolver
	address string // host:port; "" of a name server without an address
}

func (s server) String() string {
	switch {
	case s.name == "":
		return s.address
	case s.address == "":
		return s.name
	}
	return s.name + " (" + strings.TrimSuffix(s.address, ":53") + ")"
}

func (r *Resolver) client() *client {
	c := &client{dial: r.Dial, timeout: r.Timeout}
	if c.timeout == 0 {
		c.timeout = queryTimeout
	}
	return c
}

func (r *Resolver) nameservers() ([]string, error) {
	if len(r.Nameservers) > 0 {
		return r.Nameservers, nil
	}
	return systemNameservers(systemConfig)
}

func systemNameservers(path string) ([]string, error) {
	config, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("the system's resolvers are unknown (%w); nameservers has to be set", err)
	}
	servers := make([]string, len(config.Servers))
	for i, host := range config.Servers {
		servers[i] = net.JoinHostPort(host, config.Port)
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s names no resolver; nameservers has to be set", path)
	}
	return servers, nil
}

// resolve asks the resolvers until one knows an answer: that a name has no
// such records, or does not exist, is one.
func (r *Resolver) resolve(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	servers, err := r.nameservers()
	if err != nil {
		return nil, err
	}
	asking := fmt.Sprintf("asking for the %s records of %s", dns.TypeToString[qtype], relative(name))
	var failures []string
	for _, s := range servers {
		answer, err := r.client().ask(ctx, s, question(name, qtype, true))
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s: %w", asking, context.Cause(ctx))
		case err != nil:
			failures = append(failures, fmt.Sprintf("resolver %s: %v", s, err))
		case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
			failures = append(failures, fmt.Sprintf("resolver %s: %s", s, rcode(answer)))
		default:
			return answer, nil
		}
	}
	return nil, fmt.Errorf("%s: %s", asking, strings.Join(failures, "; "))
}

// zone finds the zone that a name is in, absolute.
func (r *Resolver) zone(ctx context.Context, name string) (string, error) {
	zone, err := findZone(name, func(name string) (string, error) {
		answer, err := r.resolve(ctx, name, dns.TypeSOA)
		if err != nil {
			return "", err
		}
		return zoneIn(answer, name), nil
	})
	if err == nil && zone == "" {
		err = fmt.Errorf("no zone holds %s: neither it nor any name above it has an SOA record", relative(name))
	}
	return zone, err
}

// authorities gives every address of every name server of a zone. A name server
// whose addresses cannot be found is there without one.
func (r *Resolver) authorities(ctx context.Context, zone string) ([]server, error) {
	answer, err := r.resolve(ctx, zone, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, rr := range answer.Answer {
		if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, zone) {
			names = append(names, relative(ns.Ns))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("zone %s has no name servers (NS records)", relative(zone))
	case len(names) > maxServers:
		return nil, fmt.Errorf("zone %s has %d name servers; at most %d are asked", relative(zone), len(names), maxServers)
	}
	found := make([][]server, len(names))
	inParallel(len(names), func(i int) { found[i] = r.addresses(ctx, names[i]) })
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	servers := slices.Concat(found...)
	if len(servers) > maxServers {
		return nil, fmt.Errorf("the name servers of zone %s have %d addresses; at most %d are asked", relative(zone), len(servers), maxServers)
	}
	return servers, nil
}

func (r *Resolver) addresses(ctx context.Context, name string) []server {
	var servers []server
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := r.resolve(ctx, name, qtype)
		if err != nil {
			continue // what is missing in the end is told with the server
		}
		for _, rr := range answer.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				servers = append(servers, server{name, net.JoinHostPort(rr.A.String(), "53")})
			case *dns.AAAA:
				servers = append(servers, server{name, net.JoinHostPort(rr.AAAA.String(), "53")})
			}
		}
	}
	if len(servers) == 0 {
		return []server{{name: name}}
	}
	return servers
}

// inParallel calls do with every number below n, a bounded count at a time.
func inParallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, width)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}

// reply is what one server said, or why it said nothing.
type reply struct {
	server
	message *dns.Msg
	err     error
}

var errNoAddress = errors.New("no address of it can be found")

// askEach puts the same query to every server.
func (r *Resolver) askEach(ctx context.Context, servers []server, name string, qtype uint16, recursive bool) []reply {
	replies := make([]reply, len(servers))
	inParallel(len(servers), func(i int) {
		replies[i].server = servers[i]
		if servers[i].address == "" {
			replies[i].err = errNoAddress
			return
		}
		replies[i].message, replies[i].err = r.client().ask(ctx, servers[i].address, question(name, qtype, recursive))
	})
	return replies
}
