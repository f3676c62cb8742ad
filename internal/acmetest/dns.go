package acmetest

import (
	"net"
	"strings"
	"testing"

	"github.com/letsencrypt/challtestsrv"
	"github.com/miekg/dns"
)

// serveDNS answers queries from the records, over UDP and TCP on one port,
// until the test ends, and gives the address.
func serveDNS(t testing.TB, records *challtestsrv.ChallSrv) string {
	t.Helper()
	tcp, udp := listenTwice(t)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(answerDNS(records, q)) })
	for _, server := range []*dns.Server{{Listener: tcp, Handler: handler}, {PacketConn: udp, Handler: handler}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }() // always ends with an error: that of Shutdown
		<-started
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return tcp.Addr().String()
}

// listenTwice finds a port that is free for both TCP and UDP.
func listenTwice(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		tcp := listen(t)
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		_ = tcp.Close()
	}
	t.Fatal("found no port that is free for both TCP and UDP in 20 attempts")
	return nil, nil
}

func answerDNS(records *challtestsrv.ChallSrv, q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	for _, question := range q.Question {
		name := strings.ToLower(question.Name)
		if records.GetDNSServFailRecord(name) {
			m.Rcode = dns.RcodeServerFailure
			continue
		}
		if target := records.GetDNSCNAMERecord(name); target != "" {
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: header(question.Name, dns.TypeCNAME), Target: target})
			name, question.Name = target, target
		}
		m.Answer = append(m.Answer, addresses(records, name, question)...)
		m.Answer = append(m.Answer, texts(records, name, question)...)
	}
	return m
}

func addresses(records *challtestsrv.ChallSrv, name string, q dns.Question) (answers []dns.RR) {
	if q.Qtype != dns.TypeA {
		return nil
	}
	ips := records.GetDNSARecord(name)
	if len(ips) == 0 {
		ips = []string{records.GetDefaultDNSIPv4()}
	}
	for _, ip := range ips {
		answers = append(answers, &dns.A{Hdr: header(q.Name, dns.TypeA), A: net.ParseIP(ip)})
	}
	return answers
}

func texts(records *challtestsrv.ChallSrv, name string, q dns.Question) (answers []dns.RR) {
	if q.Qtype != dns.TypeTXT {
		return nil
	}
	for _, value := range records.GetDNSTXTRecords(name) {
		answers = append(answers, &dns.TXT{Hdr: header(q.Name, dns.TypeTXT), Txt: []string{value}})
	}
	return answers
}

func header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET}
}
