package dns01_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

const (
	keyName   = "writer.example"
	keySecret = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgbG9uZw=="
)

var testKeys = map[string]string{keyName: keySecret}

func signedUpdater(nameserver, algorithm string) *dns01.Updater {
	return &dns01.Updater{
		Label: "rfc2136/test", Nameserver: nameserver,
		KeyName: keyName, Secret: secret.Text(keySecret), Algorithm: algorithm,
	}
}

func proof(name string) dns01.Record {
	return dns01.Record{Name: dns01.RecordName(name), Value: strings.Repeat("v", 43), TTL: time.Minute}
}

func TestUpdaterConforms(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, testKeys, "example.com", "Mixed.Example.NET")
	for _, zone := range []string{"example.com", "mixed.example.net", "MIXED.example.NET"} {
		t.Run(zone, func(t *testing.T) {
			dns01test.Run(t, func(*testing.T) dns01test.Bench {
				return dns01test.Bench{Provider: signedUpdater(server.Addr, "hmac-sha256"), Lookup: server.TXT, Zone: zone}
			})
		})
	}
}

func TestUpdaterConformsWithoutAKey(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, nil, "example.com")
	dns01test.Run(t, func(*testing.T) dns01test.Bench {
		return dns01test.Bench{Provider: &dns01.Updater{Label: "rfc2136/test", Nameserver: server.Addr}, Lookup: server.TXT, Zone: "example.com"}
	})
}

func TestUpdaterSignsWithEveryAlgorithm(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, testKeys, "example.com")
	for _, algorithm := range []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"} {
		if err := signedUpdater(server.Addr, algorithm).Add(t.Context(), proof(algorithm+".example.com")); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

func TestUpdaterWritesToTheNearestZone(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, testKeys, "example.com", "sub.example.com")
	// The SOA record that comes with this alias is that of another zone.
	server.Set(t, "_acme-challenge.www.example.com 60 IN CNAME x.sub.example.com", "_acme-challenge.ftp.example.com 60 IN CNAME www.sub.example.com")
	for name, zone := range map[string]string{
		"www.sub.example.com":  "sub.example.com",
		"sub.example.com":      "sub.example.com",
		"xsub.example.com":     "example.com",
		"a.b.c.d.example.com":  "example.com",
		"*.sub.example.com":    "sub.example.com",
		"www.sub.example.com.": "sub.example.com",
	} {
		r := proof(name)
		if err := signedUpdater(server.Addr, "hmac-sha256").Add(t.Context(), r); err != nil {
			t.Errorf("%s, which is in %s: %v", name, zone, err)
		}
	}
	err := signedUpdater(server.Addr, "hmac-sha256").Add(t.Context(), proof("www.example.com"))
	if f, ok := errors.AsType[*dns01.Failure](err); !ok || f.Zone != "example.com" {
		t.Errorf("beside an alias: %v", err)
	}
}

func TestUpdaterSaysWhoRefused(t *testing.T) {
	t.Parallel()
	server := dns01test.Serve(t, testKeys, "example.com")
	server.Set(t, "_acme-challenge.alias.example.com 60 IN CNAME elsewhere.example.net")
	for _, test := range []struct {
		reason  string
		change  func(*dns01.Updater)
		name    string
		refused bool
		want    string
	}{
		{"another secret", func(u *dns01.Updater) { u.Secret = "b3RoZXI=" }, "www.example.com", true, "BADSIG: its secret of the TSIG key writer.example is another"},
		{"another name", func(u *dns01.Updater) { u.KeyName = "reader.example" }, "www.example.com", true, "BADKEY: it knows no TSIG key reader.example for hmac-sha256"},
		{
			"another time", func(u *dns01.Updater) { u.Now = func() time.Time { return time.Now().Add(-time.Hour) } },
			"www.example.com", true, "BADTIME: its clock and ours differ by more than 300 seconds",
		},
		{"no key", func(u *dns01.Updater) { u.KeyName = "" }, "www.example.com", true, "REFUSED: it does not let this key change this name"},
		{"another zone", func(*dns01.Updater) {}, "www.example.org", true, "has no zone for _acme-challenge.www.example.org (it answered REFUSED)"},
		{"an alias", func(*dns01.Updater) {}, "alias.example.com", true, "YXRRSET: the name is an alias (CNAME)"},
		{"no name", func(*dns01.Updater) {}, "www..example.com", true, `"_acme-challenge.www..example.com" is not a domain name`},
		{"nobody there", func(u *dns01.Updater) { u.Nameserver = closedPort(t) }, "www.example.com", false, "connection refused"},
	} {
		u := signedUpdater(server.Addr, "hmac-sha256")
		test.change(u)
		r := proof(test.name)
		err := u.Add(t.Context(), r)
		f, ok := errors.AsType[*dns01.Failure](err)
		if !ok || f.Refused != test.refused || f.Record != r.Name || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.reason, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), u.Secret.Reveal()) {
			t.Errorf("%s: the secret is in %v", test.reason, err)
		}
	}
	if n := server.Updates(); n != 0 {
		t.Errorf("%d updates were accepted", n)
	}
}

// closedPort is an address that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// reply answers with m, of which header and question are filled in.
func reply(m dns.Msg) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := m.Copy()
		code, authoritative := m.Rcode, m.Authoritative
		m.SetReply(q)
		m.Rcode, m.Authoritative = code, authoritative
		if tsig := q.IsTsig(); tsig != nil {
			m.SetTsig(tsig.Hdr.Name, tsig.Algorithm, tsig.Fudge, int64(tsig.TimeSigned))
		}
		_ = w.WriteMsg(m)
	}
}

func records(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

func TestUpdaterDistrustsAnswers(t *testing.T) {
	t.Parallel()
	soa := records(t, "example.com. 300 IN SOA ns1.example.com. h.example.com. 1 2 3 4 5")
	for _, test := range []struct {
		reason  string
		answer  func(dns.ResponseWriter, *dns.Msg)
		refused bool
		want    string
	}{
		{"the server fails", reply(dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}), false, "SERVFAIL"},
		{"a resolver, which does not own the zone", reply(dns.Msg{Answer: soa}), true, "has no zone for"},
		{"the root only", reply(dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Ns: records(t, ". 300 IN SOA a. b. 1 2 3 4 5")}), true, "has no zone for"},
		{
			"a zone that does not hold the name",
			reply(dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Ns: records(t, "example.org. 300 IN SOA a. b. 1 2 3 4 5")}), true, "has no zone for",
		},
		{
			"a referral to other servers", reply(dns.Msg{Ns: records(t, "www.example.com. 300 IN NS ns.example.org.")}), true,
			"has delegated www.example.com to other name servers",
		},
		{"a referral to the root", reply(dns.Msg{Ns: records(t, ". 300 IN NS a.root-servers.example.")}), true, "has no zone for"},
		{"a refusal of the key that is not signed", func(w dns.ResponseWriter, q *dns.Msg) {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeNotAuth))
		}, true, "answered NOTAUTH: it does not accept the TSIG key writer.example for hmac-sha256"},
		{"another id", func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Id++
			_ = w.WriteMsg(m)
		}, false, "what it sent is not an answer to the question"},
		{"another question", func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Question[0].Name = "example.org."
			_ = w.WriteMsg(m)
		}, false, "what it sent is not an answer to the question"},
		{"the question itself", func(w dns.ResponseWriter, q *dns.Msg) { q.Extra = nil; _ = w.WriteMsg(q) }, false, "what it sent is not an answer to the question"},
		{"garbage", func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, false, "what it sent is not"},
		{"too little", func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte{1, 2}) }, false, "short read"},
		{"nothing", func(w dns.ResponseWriter, _ *dns.Msg) { _ = w.Close() }, false, "it closed the connection without an answer"},
		{"a success that is not signed", func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Authoritative, m.Answer = true, soa
			_ = w.WriteMsg(m)
		}, false, "the answer (NOERROR) to a signed message is not signed"},
		{"a success that somebody else signed", forged(soa), false, "cannot be verified"},
	} {
		addr := dns01test.Listen(t, test.answer, map[string]string{keyName + ".": keySecret})
		err := signedUpdater(addr, "hmac-sha256").Add(t.Context(), proof("www.example.com"))
		if err == nil || dns01.Refused(err) != test.refused || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.reason, err, test.want)
		}
	}
}

// forged answers with a signature of another secret.
func forged(answer []dns.RR) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		tsig := q.IsTsig()
		m := new(dns.Msg).SetReply(q)
		m.Authoritative, m.Answer = true, answer
		m.SetTsig(tsig.Hdr.Name, tsig.Algorithm, tsig.Fudge, int64(tsig.TimeSigned))
		wire, _, err := dns.TsigGenerate(m, "b3RoZXI=", tsig.MAC, false)
		if err == nil {
			_, _ = w.Write(wire)
		}
	}
}

func TestUpdaterEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the mount was disabled")
	silent := func(dns.ResponseWriter, *dns.Msg) { cancel(why) }
	addr := dns01test.Listen(t, silent, map[string]string{keyName + ".": keySecret})
	if err := signedUpdater(addr, "hmac-sha256").Add(ctx, proof("www.example.com")); !errors.Is(err, why) || dns01.Refused(err) {
		t.Errorf("got %v", err)
	}
}
