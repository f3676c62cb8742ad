package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

func generate(t testing.TB, kind Kind) crypto.Signer {
	t.Helper()
	key, err := Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Each kind can be made, written, read back and recognised. (An RSA key of
// 8192 bits takes too long to make; it differs from the others in its size only.)
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for kind, label := range map[Kind]string{
		EC256: sec1Block, EC384: sec1Block, EC521: sec1Block, RSA2048: pkcs1Block, RSA4096: pkcs1Block,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			key := generate(t, kind)
			text, err := Encode(key)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(text, "-----BEGIN "+label+"-----\n") {
				t.Errorf("it begins with %q", text[:40])
			}
			back, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if !Same(back.Public(), key.Public()) || KindOf(back.Public()) != kind {
				t.Errorf("read back as %s", KindOf(back.Public()))
			}
		})
	}
}

func TestParseKind(t *testing.T) {
	t.Parallel()
	for _, kind := range AccountKinds {
		if got, err := ParseKind(string(kind), AccountKinds); got != kind || err != nil {
			t.Errorf("%s: %s, %v", kind, got, err)
		}
	}
	if slices.Contains(CertificateKinds, RSA8192) {
		t.Error("no public CA certifies RSA keys of 8192 bits")
	}
	for _, bad := range []string{"", "EC-256", "rsa", "rsa-1024", "ed25519", "rsa-8192 "} {
		if _, err := ParseKind(bad, CertificateKinds); err == nil || !strings.Contains(err.Error(), "is not one of ec-256, ec-384, ec-521, rsa-2048, rsa-4096") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := Generate("rsa-1024"); err == nil {
		t.Error("made a key of a kind that does not exist")
	}
}

func TestKindOfOthers(t *testing.T) {
	t.Parallel()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, public := range map[Kind]crypto.PublicKey{"ec-224": p224.Public(), "ed25519.PublicKey": ed} {
		if got := KindOf(public); got != want || slices.Contains(AccountKinds, got) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTypeName(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]string{EC256: "EC", EC384: "EC", EC521: "EC", RSA2048: "RSA"} {
		text, err := Encode(generate(t, kind))
		if got := TypeName(text); err != nil || got != want {
			t.Errorf("a key %s is called %q, want %q (error %v)", kind, got, want, err)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	a, b := generate(t, EC256), generate(t, EC256)
	switch {
	case !Same(a.Public(), a.Public()):
		t.Error("a key is not itself")
	case Same(a.Public(), b.Public()), Same(a.Public(), generate(t, RSA2048).Public()), Same(nil, a.Public()), Same(a.Public(), nil):
		t.Error("different keys are the same")
	}
}

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encodeBlock(pkcs8Block, der)
}

func TestParse(t *testing.T) {
	t.Parallel()
	key := generate(t, EC256)
	sec1, err := Encode(key)
	if err != nil {
		t.Fatal(err)
	}
	for form, text := range map[string]string{
		"PKCS #8":                         pkcs8(t, key),
		"text before it":                  "Private key:\n" + sec1,
		"Windows line ends":               strings.ReplaceAll(sec1, "\n", "\r\n"),
		"parameters, as openssl has them": "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + sec1,
		"a certificate before it":         "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + sec1,
		"another key after it":            sec1 + pkcs8(t, generate(t, EC384)),
	} {
		got, err := Parse(text)
		if err != nil || !Same(got.Public(), key.Public()) {
			t.Errorf("%s: %v", form, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	key := generate(t, EC256)
	sec1, err := Encode(key)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(sec1, "\n")[1]
	for _, test := range []struct{ form, text, want string }{
		{"nothing", "", "there is no PEM private key in it"},
		{"a file name", "/etc/key.pem", "there is no PEM private key in it"},
		{"a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "there is no PEM private key in it"},
		{"a public key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "there is no PEM private key in it"},
		{"PKCS #8 with a passphrase", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "without a passphrase"},
		{"PKCS #1 with a passphrase", string(pem.EncodeToMemory(&pem.Block{Type: pkcs1Block, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")})), "without a passphrase"},
		{"Ed25519", pkcs8(t, ed), "it must be EC or RSA"},
		{"the wrong label", strings.ReplaceAll(sec1, "EC PRIVATE", "RSA PRIVATE"), "the RSA PRIVATE KEY block cannot be read"},
		{"cut off", sec1[:len(sec1)-30], "there is no PEM private key in it"},
		{"damaged", strings.Replace(sec1, secret, "AAAA"+secret[4:], 1), "the EC PRIVATE KEY block cannot be read"},
	} {
		_, err := Parse(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want it to say %q", test.form, err, test.want)
			continue
		}
		if strings.Contains(err.Error(), secret[8:]) {
			t.Errorf("%s: the error repeats the key", test.form)
		}
	}
}

// FuzzParse: whatever is accepted can be written and read again.
func FuzzParse(f *testing.F) {
	for _, kind := range []Kind{EC256, EC521, RSA2048} {
		key := generate(f, kind)
		text, err := Encode(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(pkcs8(f, key))
	}
	f.Add("-----BEGIN EC PRIVATE KEY-----\nDEK-Info: x\n\nAAAA\n-----END EC PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Encode(key)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(again)
		if err != nil || !Same(back.Public(), key.Public()) {
			t.Errorf("%v", err)
		}
	})
}
