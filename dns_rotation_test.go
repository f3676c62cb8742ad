package pkiexternalca

import (
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
)

// TestKeyRotatedUnderProofs: the account's key is rotated while a proof is made
// visible. The CA, which looks at the record itself, gets one of the new key, and
// both are removed.
func TestKeyRotatedUnderProofs(t *testing.T) {
	t.Parallel()
	d := newDNSMount(t, nil)
	var shown atomic.Bool
	resolver := dns01test.Listen(t, func(w dns.ResponseWriter, q *dns.Msg) {
		answer, err := dns.Exchange(q, d.server.Addr)
		if err != nil || q.Question[0].Qtype == dns.TypeTXT && !shown.Load() {
			answer = new(dns.Msg).SetRcode(q, dns.RcodeNameError)
		}
		_ = w.WriteMsg(answer) // who asked may be gone
	}, map[string]string{})
	d.write(internal, fields{"propagation_check": "recursive", "nameservers": resolver, "propagation_timeout": "60s"})
	d.withRole(nil)
	id := d.order(fields{"identifiers": "www.example.com"})
	d.awaitStatus("web", id, "vault-challenge-propagating")
	d.write("config/acme-account/ca/rotate-key", fields{"force": true})
	eventually(t, "the proof with the new key", func() bool { return len(d.server.TXT("_acme-challenge.www.example.com.")) == 2 })
	shown.Store(true)
	d.awaitStatus("web", id, "completed")
	d.noRecords("_acme-challenge.www.example.com.")
	eventually(t, "the debts to be paid", func() bool { return len(storedBelow(t, d.storage, debts.Prefix)) == 0 })
}
