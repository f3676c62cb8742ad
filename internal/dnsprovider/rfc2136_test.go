package dnsprovider_test

import (
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

// wrongSettings is settings of one kind, and how the sentence begins that says
// what is wrong with them.
type wrongSettings []struct {
	says string
	raw  map[string]any
}

func (all wrongSettings) check(t *testing.T, kind string) {
	t.Helper()
	for _, test := range all {
		if _, err := create(kind, test.raw); err == nil || !strings.HasPrefix(err.Error(), test.says) {
			t.Errorf("%v: got %v, want %q", test.raw, err, test.says)
		}
	}
}

func TestRFC2136SettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	server := map[string]any{"nameserver": "192.0.2.1:53"}
	wrongSettings{
		{"nameserver is required", nil},
		{`nameserver "192.0.2.1" must be host:port`, map[string]any{"nameserver": "192.0.2.1"}},
		{`nameserver "192.0.2.1:70000" has no valid port`, map[string]any{"nameserver": "192.0.2.1:70000"}},
		{"tsig_key_name and tsig_secret belong together", with(server, "tsig_key_name", "k")},
		{"tsig_key_name and tsig_secret belong together", with(server, "tsig_secret", "c2VjcmV0")},
		{"tsig_secret is not base64", with(server, "tsig_key_name", "k", "tsig_secret", "not base64!")},
		{`tsig_algorithm "hmac-md5" is not one of hmac-sha1,`, with(server, "tsig_algorithm", "hmac-md5")},
	}.check(t, "rfc2136")
}

func TestRFC2136WritesWithItsSettings(t *testing.T) {
	t.Parallel()
	const name, secret = "writer.example", "c2VjcmV0"
	server := dns01test.Serve(t, map[string]string{name: secret}, "example.com")
	e, err := create("rfc2136", map[string]any{
		"nameserver": server.Addr, "tsig_key_name": name, "tsig_secret": secret, "tsig_algorithm": "hmac-sha512",
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := e.Show()
	if _, leaks := shown["tsig_secret"]; leaks || shown["nameserver"] != server.Addr || shown["ttl"] != int64(60) {
		t.Errorf("an answer would be %v", shown)
	}
	p, err := e.Open(dnsprovider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := proof("_acme-challenge.www.example.com")
	if err := p.Add(t.Context(), r); err != nil || len(server.TXT(r.Name)) != 1 {
		t.Errorf("wrote %q, %v", server.TXT(r.Name), err)
	}
}
