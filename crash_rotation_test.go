package pkiexternalca

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestRotationSurvivesItsStorage lets the storage fail at every single write of a
// rotation by age, and die there: in the end the account has a new key, the one
// that the CA knows, and not one more than is due.
func TestRotationSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	writes := tryRotation(t, "", 0)
	if writes != 2 {
		t.Errorf("a rotation writes %d times, want twice: the candidate, and that it is the key", writes)
	}
	for _, kind := range failures {
		for n := 1; n <= writes; n++ {
			t.Run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) {
				t.Parallel()
				tryRotation(t, kind, n)
			})
		}
	}
}

// tryRotation has a key rotated with a storage that fails at the nth write, and
// gives the number of writes.
func tryRotation(t *testing.T, kind failure, n int) int {
	storage := &frail{Storage: &logical.InmemStorage{}, kind: kind}
	ca, clock := acmetest.Pebble(t, acmetest.AlwaysValid()), &leaping{}
	m := mountOn(t, storage, clock.option)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	before := m.write(ofCA, fields{"rotation_period": "24h"})
	storage.arm(n)
	m = clock.leap(m, 25*time.Hour)
	eventually(t, "the rotation to be over, or to fail", func() bool {
		if storage.isDead() {
			m.unmount()
			m = mountOn(t, storage.Storage, clock.option)
			return true
		}
		account, status, _ := m.send(logical.ReadOperation, ofCA, nil)
		return status == http.StatusOK && (account.Data["active_key_version"] == 1 || account.Data["last_rotation_error"] != "")
	})
	writes := storage.count()
	m = clock.leap(m, 2*time.Minute) // after a failure that was noted
	after := m.awaitKey(1)
	if after["last_rotation_error"] != "" || m.urlByStoredKey("ca") != before["account_url"] {
		t.Errorf("the account is %v, was %v", after, before)
	}
	m.obtain(fields{"identifiers": "www.example.com"})
	if again := m.read(ofCA, nil); !sameJSON(t, after, again) {
		t.Errorf("the account is %v, was %v", again, after)
	}
	return writes
}
