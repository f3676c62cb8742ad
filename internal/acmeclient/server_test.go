package acmeclient_test

import (
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                   "is not an https URL",
		"acme.example.com/directory":         "is not an https URL",
		"http://acme.example.com/directory":  "ACME runs over TLS only",
		"https://":                           "names no host",
		"https:///directory":                 "names no host",
		"https://:443/":                      "names no host",
		"https://user:secret@ca.example/dir": "has a user or a fragment",
		"https://ca.example/dir#part":        "has a user or a fragment",
		"https://ca.example/%zz":             "cannot be read as a URL",
		"https://ca.example\x7f/":            "cannot be read as a URL",
		"https://" + strings.Repeat("x", 2048) + ".example": "at most 2048 are accepted",
	} {
		_, err := acmeclient.New(acmeclient.Config{DirectoryURL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want it to say %q", url, err, want)
		}
	}
}

func TestNewSendsNothing(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	dial(t, ca.DirectoryURL, ca.TrustedCA)
	if n := ca.Count(acmetest.Directory); n != 0 {
		t.Errorf("the directory was read %d times", n)
	}
}

func TestParseTrustedCA(t *testing.T) {
	t.Parallel()
	good := string(acmetest.Script(t).TrustedCA)
	const keyBlock = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	for _, test := range []struct {
		name, text string
		count      int
		want       string // of the error
	}{
		{"one", good, 1, ""},
		{"two, with notes as openssl writes them", "subject=CN = x\n" + good + "\nsubject=CN = y\n" + good, 2, ""},
		{"Windows line ends", strings.ReplaceAll(good, "\n", "\r\n"), 1, ""},
		{"none", "", 0, "there is no PEM certificate in it"},
		{"a file name", "/etc/ssl/ca.pem", 0, "there is no PEM certificate in it"},
		{"a key", good + keyBlock, 0, "block 2 is a PRIVATE KEY"},
		{"not a certificate", strings.ReplaceAll(keyBlock, "PRIVATE KEY", "CERTIFICATE"), 0, "block 1 cannot be read"},
		{"cut off", good + good[:len(good)/2], 0, "of 2 PEM blocks only 1 are well-formed"},
	} {
		certificates, err := acmeclient.ParseTrustedCA([]byte(test.text))
		if len(certificates) != test.count || (test.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %d, %v", test.name, len(certificates), err)
		}
	}
	_, err := acmeclient.New(acmeclient.Config{DirectoryURL: "https://ca.example/", TrustedCA: []byte(keyBlock)})
	if err == nil || !strings.HasPrefix(err.Error(), "the trusted CA: block 1 is a PRIVATE KEY") {
		t.Errorf("New: got %v", err)
	}
}

func FuzzParseTrustedCA(f *testing.F) {
	f.Add("")
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Add(string(acmetest.Script(f).TrustedCA))
	f.Fuzz(func(t *testing.T, text string) {
		certificates, err := acmeclient.ParseTrustedCA([]byte(text))
		if (err == nil) != (len(certificates) > 0) {
			t.Errorf("%d certificates and %v", len(certificates), err)
		}
	})
}
