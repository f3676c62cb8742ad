package dns01test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// startLimit is how long a name server may take to answer after its start.
const startLimit = 30 * time.Second

// supervise is a shell that ends the program it starts when its standard input
// is closed, which happens too if the test is killed.
const supervise = `"$@" & read -r _; kill $!; wait`

// daemon runs a program of Debian packages until the test ends. Its output goes
// into a log in dir, the path of which it gives.
func daemon(t testing.TB, dir, program, packages string, args ...string) (log string) {
	t.Helper()
	path, err := findProgram(program)
	if err != nil {
		t.Fatalf("%v: apt-get install -y --no-install-recommends %s", err, packages)
	}
	path = copyProgram(t, path, dir)
	log = filepath.Join(dir, program+".log")
	output, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c", supervise, "sh", path}, args...)...)
	cmd.Stdout, cmd.Stderr = output, output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // it ends by the signal that it gets
		_ = output.Close()
	})
	return log
}

// findProgram looks in the folders for system programs, too, which are not on
// everybody's path.
func findProgram(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// copyProgram makes a copy that no AppArmor profile knows. Those that come with
// name servers go by path, and let them read nothing below a temporary folder.
func copyProgram(t testing.TB, path, dir string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(own, content, 0o700); err != nil {
		t.Fatal(err)
	}
	return own
}

// untilReady asks again and again until there is no error, or fails the test
// with the end of the log.
func untilReady(t testing.TB, log string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			content, _ := os.ReadFile(log) // better than nothing
			t.Fatalf("the name server did not answer: %v\nits log ends:\n%s", err, content[max(0, len(content)-2000):])
		}
	}
}

// freeAddress is host:port of 127.0.0.1 on which nobody listens, over TCP or
// UDP.
func freeAddress(t testing.TB) string {
	t.Helper()
	tcp, udp := listenTwice(t)
	_, _ = tcp.Close(), udp.Close()
	return tcp.Addr().String()
}

// lookup asks a name server for the TXT values of a name, over TCP.
func lookup(ctx context.Context, server, name string) ([]string, error) {
	c := dns.Client{Net: "tcp"}
	m, _, err := c.ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT), server)
	if err != nil {
		return nil, err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("%s answered %s", server, dns.RcodeToString[m.Rcode])
	}
	var values []string
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values, nil
}

// mustLookup fails the test where lookup fails.
func mustLookup(t testing.TB, server string) func(name string) []string {
	return func(name string) []string {
		t.Helper()
		values, err := lookup(t.Context(), server, name)
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
}

func split(t testing.TB, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
