package testbed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// nameServerLimit is how long a name server may take to answer after its start.
const nameServerLimit = 30 * time.Second

// FindBIND says in one line what is to be installed if there is no BIND.
func FindBIND() error {
	_, err := findSystemProgram("named", "bind9")
	return err
}

// findSystemProgram looks in the folders for system programs, too, which are not on everybody's path.
func findSystemProgram(name, packages string) (string, error) {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: apt-get install -y --no-install-recommends %s", name, packages)
}

// systemProgram copies a program of Debian packages into dir and returns the path of the copy, which no AppArmor
// profile knows: those that come with name servers go by path and let them read nothing below a temporary folder.
func systemProgram(dir, name, packages string) (string, error) {
	path, err := findSystemProgram(name, packages)
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	own := filepath.Join(dir, name)
	return own, os.WriteFile(own, content, 0o700)
}

// FreeDNSAddress returns port 53 of an address of 127.0.0.0/8, as host:port, that nobody listens on. That is where
// a server is looked for that an NS record names. To listen there takes root.
func FreeDNSAddress() (string, error) {
	var last error
	for range 100 {
		address := fmt.Sprintf("127.%d.%d.%d:53", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		listener, err := net.Listen("tcp", address)
		if err == nil {
			return address, listener.Close()
		}
		last = err
	}
	return "", fmt.Errorf("no port 53 can be had in 127.0.0.0/8, for which this must run as root: %w", last)
}

// relay makes a name server reachable at a second address for as long as its process lives. BIND itself listens
// only on addresses that an interface has, of which there is one for all of 127.0.0.0/8.
func relay(p *Process, address, to string) error {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return errors.Join(err, tcp.Close())
	}
	for _, server := range []*dns.Server{{Listener: tcp, Net: "tcp"}, {PacketConn: udp, Net: "udp"}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			client := dns.Client{Net: server.Net}
			if answer, _, err := client.Exchange(q, to); err == nil { // if not, the client hears nothing, as of any dead server
				_ = w.WriteMsg(answer)
			}
		})
		go func() { _ = server.ActivateAndServe() }() // ends with Shutdown
		<-started
		go func() {
			<-p.done
			_ = server.Shutdown()
		}()
	}
	return nil
}

// nameServer is what every name server can be asked.
type nameServer struct {
	Addr   string // host:port of the DNS on 127.0.0.1, over UDP and TCP
	Public string // host:53, where NS records lead; empty unless asked for
}

// listen chooses where the server will listen.
func (n *nameServer) listen(public string) error {
	port, err := FreePort()
	n.Addr, n.Public = Loopback(port), public
	return err
}

// open lets the public in.
func (n *nameServer) open(p *Process) error {
	if n.Public == "" {
		return nil
	}
	return relay(p, n.Public, n.Addr)
}

// TXT returns the values of the TXT records of a name, as the server itself sees them.
func (n nameServer) TXT(ctx context.Context, name string) ([]string, error) {
	client := dns.Client{Net: "tcp"}
	m, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT), n.Addr)
	if err != nil {
		return nil, err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("%s answered %s", n.Addr, dns.RcodeToString[m.Rcode])
	}
	var values []string
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values, nil
}
