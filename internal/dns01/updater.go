package dns01

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

const (
	// updateTimeout is how long a name server may take for one message; it has
	// to write an update to its disk before it answers.
	updateTimeout = 10 * time.Second
	// fudge is by how many seconds clocks may differ (RFC 8945 §10).
	fudge = 300
)

// Updater writes records by dynamic updates (RFC 2136) that are signed with
// TSIG (RFC 8945), or not signed when there is no key. It adds and deletes
// single records, never a record set. It keeps nothing between calls.
type Updater struct {
	// Label names the provider in errors: "rfc2136/internal".
	Label string
	// Nameserver is the primary server of the zones, as host:port.
	Nameserver string
	// KeyName, Secret (in base64) and Algorithm ("hmac-sha256") are the key;
	// all are empty for none.
	KeyName   string
	Secret    secret.Text
	Algorithm string
	// Now is what signatures are dated with; nil for time.Now.
	Now func() time.Time
}

var _ Provider = (*Updater)(nil)

// refusal is an error that stays until somebody changes something.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// Add implements Provider.
func (u *Updater) Add(ctx context.Context, r Record) error {
	return u.update(ctx, r, func(m *dns.Msg, txt *dns.TXT) {
		// Servers do nothing and say nothing when a TXT record is added to an
		// alias (RFC 2136 §3.4.2.2), so they are asked to refuse.
		m.RRsetNotUsed([]dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: txt.Hdr.Name, Rrtype: dns.TypeCNAME}}})
		m.Insert([]dns.RR{txt})
	})
}

// Remove implements Provider.
func (u *Updater) Remove(ctx context.Context, r Record) error {
	return u.update(ctx, r, func(m *dns.Msg, txt *dns.TXT) { m.Remove([]dns.RR{txt}) })
}

func (u *Updater) update(ctx context.Context, r Record, change func(*dns.Msg, *dns.TXT)) error {
	zone, err := u.zone(ctx, r.Name)
	if err == nil {
		m := new(dns.Msg).SetUpdate(zone)
		change(m, &dns.TXT{
			Hdr: dns.RR_Header{Name: dns.Fqdn(r.Name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(r.TTL / time.Second)},
			Txt: []string{r.Value},
		})
		err = u.write(ctx, m)
	}
	if err == nil {
		return nil
	}
	_, refused := errors.AsType[refusal](err)
	return &Failure{Provider: u.Label, Zone: relative(zone), Record: r.Name, Refused: refused, Err: err}
}

// updateRefusals says what the response codes mean that will stay as they are.
var updateRefusals = map[int]string{
	dns.RcodeFormatError:    "it does not understand the update",
	dns.RcodeNotImplemented: "it takes no dynamic updates",
	dns.RcodeRefused:        "it does not let this key change this name; see its update-policy or allow-update",
	dns.RcodeYXRrset:        "the name is an alias (CNAME), beside which there can be no TXT record; the record belongs where the alias leads",
	dns.RcodeNotAuth:        "it is not the primary server of the zone",
	dns.RcodeNotZone:        "the name is not in the zone",
}

func (u *Updater) write(ctx context.Context, m *dns.Msg) error {
	answer, err := u.send(ctx, m)
	if err != nil || answer.Rcode == dns.RcodeSuccess {
		return err
	}
	err = fmt.Errorf("name server %s answered the update with %s", u.Nameserver, rcode(answer))
	if why, ok := updateRefusals[answer.Rcode]; ok {
		return refusal{fmt.Errorf("%w: %s", err, why)}
	}
	return err
}

// zone finds the zone of a name at the name server itself, which may be hidden
// from everybody else. The question is signed as the update will be, because
// the key may decide which view of the zone is seen.
func (u *Updater) zone(ctx context.Context, name string) (string, error) {
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return "", refusal{fmt.Errorf("%.300q is not a domain name", name)}
	}
	last := "" // response code
	zone, err := findZone(name, func(name string) (string, error) {
		answer, err := u.send(ctx, question(name, dns.TypeSOA, false))
		if err != nil {
			return "", err
		}
		last = rcode(answer)
		return u.readZone(answer, name)
	})
	if err != nil || zone != "" {
		return zone, err
	}
	return "", refusal{fmt.Errorf("name server %s has no zone for %s (it answered %s)", u.Nameserver, name, last)}
}

func (u *Updater) readZone(answer *dns.Msg, name string) (string, error) {
	if cut := delegation(answer, name); cut != "" {
		return "", refusal{fmt.Errorf("name server %s has delegated %s to other name servers, where the record belongs", u.Nameserver, relative(cut))}
	}
	switch answer.Rcode {
	case dns.RcodeNotAuth: // to a question, this is about the signature (RFC 8945 §5.2); PowerDNS says no more
		return "", refusal{fmt.Errorf("name server %s answered NOTAUTH: it does not accept the TSIG key %s for %s", u.Nameserver, u.KeyName, u.Algorithm)}
	case dns.RcodeServerFailure:
		return "", fmt.Errorf("name server %s answered SERVFAIL to the question for the zone of %s", u.Nameserver, relative(name))
	case dns.RcodeSuccess, dns.RcodeNameError:
		if answer.Authoritative {
			return zoneIn(answer, name), nil
		}
	}
	return "", nil
}

// send signs a message, sends it over TCP, and checks the answer's signature.
func (u *Updater) send(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	c := client{timeout: updateTimeout}
	if u.KeyName != "" {
		key := dns.CanonicalName(u.KeyName)
		c.secrets = map[string]string{key: u.Secret.Reveal()}
		m.SetTsig(key, dns.Fqdn(u.Algorithm), fudge, u.now().Unix())
	}
	answer, err := c.send(ctx, "tcp", u.Nameserver, m)
	if answer != nil && u.KeyName != "" {
		err = u.checkSignature(answer, err)
	}
	if err != nil {
		return nil, fmt.Errorf("name server %s: %w", u.Nameserver, err)
	}
	return answer, nil
}

// checkSignature takes the result of the verification, which is nil as well
// when there was no signature (RFC 8945 §5.4).
func (u *Updater) checkSignature(answer *dns.Msg, err error) error {
	tsig := answer.IsTsig()
	switch {
	case tsig == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError):
		return fmt.Errorf("the answer (%s) to a signed message is not signed", rcode(answer))
	case tsig == nil:
		return nil // a refusal that was made before the signature was looked at
	}
	switch tsig.Error {
	case dns.RcodeSuccess:
	case dns.RcodeBadKey:
		return refusal{fmt.Errorf("BADKEY: it knows no TSIG key %s for %s", u.KeyName, u.Algorithm)}
	case dns.RcodeBadSig:
		return refusal{fmt.Errorf("BADSIG: its secret of the TSIG key %s is another", u.KeyName)}
	case dns.RcodeBadTime:
		return refusal{fmt.Errorf("BADTIME: its clock and ours differ by more than %d seconds", fudge)}
	default:
		return refusal{fmt.Errorf("it refuses the TSIG signature with error %d", tsig.Error)}
	}
	if err != nil {
		return fmt.Errorf("the signature of the answer cannot be verified: %w", err)
	}
	return nil
}

func (u *Updater) now() time.Time {
	now := u.Now
	if now == nil {
		now = time.Now
	}
	return now()
}
