package dns01_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// namedUpdater signs with the key of an algorithm.
func namedUpdater(n *dns01test.Named, algorithm string) *dns01.Updater {
	return &dns01.Updater{
		Label: "rfc2136/named", Nameserver: n.Addr,
		KeyName: algorithm, Secret: secret.Text(n.Secret), Algorithm: algorithm,
	}
}

func TestUpdaterConformsAtNamed(t *testing.T) {
	t.Parallel()
	n := dns01test.StartNamed(t, []string{"example.com", "Mixed.Example.NET"})
	for _, zone := range []string{"example.com", "Mixed.Example.NET"} {
		t.Run(zone, func(t *testing.T) {
			dns01test.Run(t, func(*testing.T) dns01test.Bench {
				return dns01test.Bench{Provider: namedUpdater(n, "hmac-sha256"), Lookup: n.Lookup, Zone: zone}
			})
		})
	}
}

func TestUpdaterAtNamed(t *testing.T) {
	t.Parallel()
	n := dns01test.StartNamed(t, []string{"example.com", "sub.example.com"},
		"_acme-challenge.alias.example.com. IN CNAME proof.sub.example.com.",
		"cut.example.com. IN NS ns.elsewhere.example.org.")
	for _, algorithm := range dns01test.Algorithms {
		r := proof(algorithm + ".example.com")
		if err := namedUpdater(n, algorithm).Add(t.Context(), r); err != nil || len(n.Lookup(r.Name)) != 1 {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	for _, test := range []struct {
		reason string
		change func(*dns01.Updater)
		name   string
		want   string
	}{
		{"another secret", func(u *dns01.Updater) { u.Secret = "b3RoZXI=" }, "www.example.com", "BADSIG: its secret of the TSIG key hmac-sha256 is another"},
		{"another algorithm", func(u *dns01.Updater) { u.Algorithm = "hmac-sha512" }, "www.example.com", "BADKEY: it knows no TSIG key hmac-sha256 for hmac-sha512"},
		{"another name", func(u *dns01.Updater) { u.KeyName = "reader" }, "www.example.com", "BADKEY: it knows no TSIG key reader for hmac-sha256"},
		{
			"another time", func(u *dns01.Updater) { u.Now = func() time.Time { return time.Now().Add(-time.Hour) } },
			"www.example.com", "BADTIME: its clock and ours differ by more than 300 seconds",
		},
		{"a key without rights", func(u *dns01.Updater) { u.KeyName = "nobody" }, "www.example.com", "REFUSED: it does not let this key change this name"},
		{"no key", func(u *dns01.Updater) { u.KeyName = "" }, "www.example.com", "REFUSED: it does not let this key change this name"},
		{"another zone", func(*dns01.Updater) {}, "www.example.org", "has no zone for _acme-challenge.www.example.org (it answered REFUSED)"},
		{"an alias", func(*dns01.Updater) {}, "alias.example.com", "YXRRSET: the name is an alias (CNAME)"},
		{"a delegated zone", func(*dns01.Updater) {}, "www.cut.example.com", "has delegated cut.example.com to other name servers"},
	} {
		u := namedUpdater(n, "hmac-sha256")
		test.change(u)
		err := u.Add(t.Context(), proof(test.name))
		if !dns01.Refused(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.reason, err, test.want)
		}
	}
	err := namedUpdater(n, "hmac-sha256").Add(t.Context(), proof("alias.example.com"))
	if f, ok := errors.AsType[*dns01.Failure](err); !ok || f.Zone != "example.com" {
		t.Errorf("beside an alias: %v", err)
	}
}

func TestResolverAtNamed(t *testing.T) {
	t.Parallel()
	n := dns01test.StartNamed(t, []string{"example.com", "sub.example.com"},
		"_acme-challenge.alias.example.com. IN CNAME proof.sub.example.com.",
		"*.wild.example.com. IN CNAME proof.sub.example.com.",
		"circle.example.com. IN CNAME Circle.example.com.")
	r := &dns01.Resolver{Nameservers: []string{n.Addr}, Dial: dns01test.Public(n.Addr)}
	for name, want := range map[string]string{
		"_acme-challenge.www.example.com":    "_acme-challenge.www.example.com",
		"_acme-challenge.alias.example.com":  "proof.sub.example.com",
		"_acme-challenge.x.wild.example.com": "proof.sub.example.com", // the DNS says so
		"circle.example.com":                 "",
	} {
		if got, err := r.Follow(t.Context(), name); got != want || (want == "") != errors.Is(err, dns01.ErrAlias) {
			t.Errorf("%s leads to %q, %v", name, got, err)
		}
	}
	written := proof("www.example.com")
	if err := namedUpdater(n, "hmac-sha256").Add(t.Context(), written); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, value, report string
	}{
		{written.Name, written.Value, "seen at every server"},
		{written.Name, "another", "other values: \"vvv"},
		{dns01.RecordName("ftp.example.com"), written.Value, "no such name (NXDOMAIN)"},
		{"www.example.com", written.Value, "no TXT record"},
	} {
		for _, check := range []dns01.Check{dns01.Authoritative, dns01.Recursive} {
			report, err := r.Visible(t.Context(), check, test.name, test.value)
			if err != nil || !strings.Contains(report.String(), test.report) {
				t.Errorf("%s, %s: %s, %v", test.name, check, report, err)
			}
		}
	}
}
