package renewal_test

import (
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

const day = 24 * time.Hour

// issued is when every certificate in these tests begins to be valid.
var issued = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestDue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		life, after time.Duration
		reason      string
	}{
		{90 * day, 60 * day, "a third is left"},
		{45 * day, 30 * day, "likewise"},
		{10 * day, 160 * time.Hour, "ten days are long"},
		{160 * time.Hour, 80 * time.Hour, "short-lived: half is left"},
		{2 * time.Minute, time.Minute, "as short as a test's"},
		{0, 0, "a certificate that was never valid"},
	} {
		if got := renewal.Due(issued, issued.Add(test.life)).Sub(issued); got != test.after {
			t.Errorf("a life of %s is renewed after %s, want %s: %s", test.life, got, test.after, test.reason)
		}
	}
}
