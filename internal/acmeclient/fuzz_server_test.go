package acmeclient

import (
	"encoding/json"
	"strings"
	"testing"

	lego "github.com/go-acme/lego/v4/acme"

	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// FuzzDirectory holds that no directory leads anywhere but to https URLs, that
// what it says of the CA is bounded and clean, and that it can be stored.
func FuzzDirectory(f *testing.F) {
	for _, seed := range []string{
		`{"newNonce":"https://ca.example/n","newAccount":"/a","newOrder":"o","revokeCert":"//ca.example/r","keyChange":"?k","renewalInfo":"https://ca.example/i/"}`,
		`{"newNonce":"https://ca.example/n","newAccount":"/a","newOrder":"/o","meta":{"termsOfService":"\u202e","website":"javascript:1","caaIdentities":["a","\u0000"],"externalAccountRequired":true,"profiles":{"classic":"as ever","\u200b":""}}}`,
		`{"newNonce":"http://ca.example/n","newAccount":"/a","newOrder":"/o"}`, `{"newNonce":"https://u:p@ca.example/"}`,
		`{"meta":{"profiles":null}}`, `{"meta":[]}`, `{}`, `null`, `<html>`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := answerWith(body)
		var wire lego.Directory
		if a.decode(&wire) != nil {
			return
		}
		d, err := a.endpoints(wire)
		if err != nil {
			return
		}
		wantHTTPS(t, d.newNonce, d.newAccount, d.newOrder, d.revokeCert, d.keyChange, d.renewalInfo)
		if d.newNonce == "" || d.newAccount == "" || d.newOrder == "" {
			t.Errorf("a directory without what every CA has: %+v", d)
		}
		said := append([]string{d.about.TermsOfService, d.about.Website}, d.about.CAAIdentities...)
		for name, description := range d.about.Profiles {
			said = append(said, name, description)
		}
		for _, text := range said {
			if text != upstream.Clean(text, maxURL) {
				t.Errorf("%q got through", text)
			}
		}
		if len(said) > 2+3*maxMeta {
			t.Errorf("a directory says %d things", len(said))
		}
		if _, err := json.Marshal(d.about); err != nil {
			t.Error(err)
		}
	})
}

// FuzzParseEABKey holds that only keys come out that HMAC-SHA256 may use.
func FuzzParseEABKey(f *testing.F) {
	for _, seed := range []string{
		"", "AAAA", strings.Repeat("A", 43), strings.Repeat("A", 43) + "=", strings.Repeat("-_", 32), strings.Repeat("+/", 32),
		" " + strings.Repeat("A", 43) + "\n", strings.Repeat("A", 44) + "==", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseEABKey(text)
		if err == nil && (len(key) < minEABKey || len(key) > len(text)) {
			t.Errorf("%q is a key of %d bytes", text, len(key))
		}
		if err != nil && len(text) > 8 && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the key: %v", err)
		}
	})
}

// FuzzResolve holds that whatever a CA sends, requests go to https URLs.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		"", "/o/1", "o/1", "//evil.example/x", "https://ca.example/o/1", "http://ca.example/", "https://", "https://u:p@h/", "https://h/#f",
		"HTTPS://H/", "https://[::1", "https://h:99999/", "\x00", "https://h/%zz", "?", "https://h/" + strings.Repeat("a", maxURL),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if to, err := resolve("https://ca.example/directory", ref); err == nil {
			wantHTTPS(t, to)
		}
	})
}
