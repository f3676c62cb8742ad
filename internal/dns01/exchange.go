package dns01

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Dial opens a connection to a name server: network is "udp" or "tcp", address
// is host:port. It is the DialContext of a [net.Dialer].
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// client sends one message to one server.
type client struct {
	dial    Dial          // nil for the usual
	timeout time.Duration // for one message, over UDP or TCP
	secrets map[string]string
}

// errNotTheAnswer is what TCP ends with; over UDP such a message is ignored, so
// that nobody who guesses a port can end a conversation.
var errNotTheAnswer = errors.New("what it sent is not an answer to the question")

// ask sends a query over UDP, and again over TCP when the answer was too long.
// The queries have no EDNS, because there are still middle-boxes that swallow
// it and nearly all answers here fit into 512 bytes.
func (c *client) ask(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	answer, err := c.send(ctx, "udp", server, query)
	if err == nil && answer.Truncated {
		return c.send(ctx, "tcp", server, query)
	}
	return answer, err
}

// send gives the answer, and with it the error of its signature, if any; any
// other error comes without an answer. Errors do not name the server.
func (c *client) send(ctx context.Context, network, server string, m *dns.Msg) (*dns.Msg, error) {
	patient, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := c.exchange(patient, network, server, m)
	switch {
	case err == nil || answer != nil:
		return answer, err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case patient.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("no answer within %v", c.timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("it closed the connection without an answer")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // the rest is addresses
	}
	return nil, err
}

func (c *client) exchange(ctx context.Context, network, server string, m *dns.Msg) (*dns.Msg, error) {
	dial := c.dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = raw.Close() }() // whatever it has is read
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := &dns.Conn{Conn: raw, UDPSize: dns.DefaultMsgSize, TsigSecret: c.secrets}
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		answer, err := conn.ReadMsg()
		if answer != nil && isAnswer(m, answer) {
			if err != nil && answer.IsTsig() == nil {
				return nil, fmt.Errorf("its answer cannot be read: %w", err)
			}
			return answer, err
		}
		_, lasting := errors.AsType[net.Error](err)
		switch {
		case answer == nil && (lasting || network == "tcp"):
			return nil, err
		case network == "tcp":
			return nil, errNotTheAnswer
		}
	}
}

// isAnswer tells whether a message belongs to a query or an update. The
// question may be missing where the server did not want to hear it.
func isAnswer(asked, m *dns.Msg) bool {
	if !m.Response || m.Id != asked.Id || m.Opcode != asked.Opcode {
		return false
	}
	if len(m.Question) == 0 {
		return asked.Opcode == dns.OpcodeUpdate || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError
	}
	q, a := asked.Question[0], m.Question[0]
	return len(m.Question) == 1 && strings.EqualFold(q.Name, a.Name) && q.Qtype == a.Qtype && q.Qclass == a.Qclass
}

// question makes a query, recursive or for a server's own data alone.
func question(name string, qtype uint16, recursive bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	m.RecursionDesired = recursive
	return m
}

// rcode names a response code as the RFCs do.
func rcode(m *dns.Msg) string {
	if text, ok := dns.RcodeToString[m.Rcode]; ok {
		return text
	}
	return fmt.Sprintf("response code %d", m.Rcode)
}
