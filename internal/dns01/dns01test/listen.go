package dns01test

import (
	"context"
	"net"
	"testing"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
)

// Listen answers DNS messages on a port of 127.0.0.1, over UDP and TCP, until
// the test ends, and gives host:port. Signed messages are verified with the
// secrets of keys, which are absolute names in lower case.
func Listen(t testing.TB, answer func(dns.ResponseWriter, *dns.Msg), keys map[string]string) string {
	t.Helper()
	tcp, udp := listenTwice(t)
	for _, server := range []*dns.Server{{Listener: tcp}, {PacketConn: udp}} {
		started := make(chan struct{})
		server.Handler = dns.HandlerFunc(answer)
		server.NotifyStartedFunc = func() { close(started) }
		// The usual filter drops dynamic updates.
		server.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		server.TsigSecret = keys
		go func() { _ = server.ActivateAndServe() }() // always ends with an error: that of Shutdown
		<-started
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return tcp.Addr().String()
}

// Public makes a server the one that every NS record leads to: who dials port
// 53, where no test can listen, gets the server at addr; everything else is
// dialled as usual.
func Public(addr string) dns01.Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if _, port, err := net.SplitHostPort(address); err == nil && port == "53" {
			address = addr
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// listenTwice finds a port that is free for both TCP and UDP.
func listenTwice(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("listening: %v", err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		_ = tcp.Close()
	}
	t.Fatal("found no port that is free for both TCP and UDP in 20 attempts")
	return nil, nil
}
