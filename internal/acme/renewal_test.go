package acme

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"
)

func TestCertID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		aki, serial string // in hex
		want        string
		reason      string
	}{
		{
			"69885b6b87464041e1b37b847bd0ae2cde01c8d4", "0087654321", "aYhba4dGQEHhs3uEe9CuLN4ByNQ.AIdlQyE",
			"the example of RFC 9773 §4.1: a serial number whose first bit is set has a zero before it",
		},
		{"69885b6b87464041e1b37b847bd0ae2cde01c8d4", "7f", "aYhba4dGQEHhs3uEe9CuLN4ByNQ.fw", "no zero is needed here"},
		{"01", "00", "AQ.AA", "the number zero is one byte"},
		{"", "01", "", "a certificate that does not name its issuer's key has no identifier"},
	} {
		aki, _ := hex.DecodeString(test.aki)
		serial, _ := hex.DecodeString(test.serial)
		got, err := CertID(&x509.Certificate{AuthorityKeyId: aki, SerialNumber: new(big.Int).SetBytes(serial)})
		if got != test.want || (test.want == "") != errors.Is(err, ErrNoCertID) {
			t.Errorf("serial %s: %q, %v; want %q: %s", test.serial, got, err, test.want, test.reason)
		}
	}
	if _, err := CertID(&x509.Certificate{AuthorityKeyId: []byte{1}}); !errors.Is(err, ErrNoCertID) {
		t.Errorf("a certificate without a serial number: %v", err)
	}
}
