package pkiexternalca

import (
	"net/http"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

func TestAccountDeletion(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	for _, row := range []struct {
		reason string
		body   fields
		atCA   acme.Status
	}{
		{"deactivated by default, for good (RFC 8555 §7.3.6)", nil, acme.StatusDeactivated},
		{"kept alive at the CA on request", fields{"deactivate": false}, acme.StatusValid},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := newMount(t)
			made := m.write("config/acme-account/main", accountAt(ca.DirectoryURL, ca.TrustedCA))
			m.delete("config/acme-account/main", row.body)
			if at := accountAtPebble(ca, made); at.Status != row.atCA {
				t.Errorf("the account is %s at the CA, want %s", at.Status, row.atCA)
			}
			m.refused(http.StatusNotFound, logical.ReadOperation, "config/acme-account/main", nil)
			if stored := storedKeys(t, m.storage); len(stored) > 0 {
				t.Errorf("the deletion left %q", stored)
			}
			m.delete("config/acme-account/main", nil)
			again := m.write("config/acme-account/main", accountAt(ca.DirectoryURL, ca.TrustedCA))
			if again["account_url"] == made["account_url"] {
				t.Error("an account of the same name has the identity of the deleted one")
			}
		})
	}
}

func TestAccountInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	m.write("role/other", fields{"acme_account_name": "ca"})
	for _, body := range []fields{nil, {"deactivate": false}} {
		m.refused(http.StatusConflict, logical.DeleteOperation, "config/acme-account/ca", body, "other, web")
	}
	if n := ca.Count(acmetest.Account); n > 0 {
		t.Errorf("the CA got %d requests about an account that stays", n)
	}
	m.delete("role/web", nil)
	m.delete("role/other", nil)
	m.delete("config/acme-account/ca", nil)
}

// TestAccountDeletionWithoutTheCA: an account is not forgotten before the CA has
// ended it, unless that is what the operator wants.
func TestAccountDeletionWithoutTheCA(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	before := m.record(accounts.Prefix + "ca")

	ca.On(acmetest.Account, acmetest.Cut())
	m.refused(http.StatusBadGateway, logical.DeleteOperation, "config/acme-account/ca", nil, "deactivate=false")
	if m.record(accounts.Prefix+"ca") != before {
		t.Error("a failed deletion has changed the account")
	}
	m.withRole(nil) // and is as usable as before
	m.delete("role/web", nil)
	m.delete("config/acme-account/ca", fields{"deactivate": "false"})
}

// TestAccountIsBusy: while the CA is being asked nobody else changes the account,
// and no role begins to use it.
func TestAccountIsBusy(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	answered := make(chan struct{})
	answer := sync.OnceFunc(func() { close(answered) })
	defer answer()
	ca.On(acmetest.Account, func(w http.ResponseWriter, r *acmetest.Request) {
		<-answered
		ca.Default(w, r)
	})
	var deletion sync.WaitGroup
	deletion.Go(func() { m.delete("config/acme-account/ca", nil) })
	eventually(t, "the CA to be asked", func() bool { return ca.Count(acmetest.Account) > 0 })
	m.refused(http.StatusConflict, logical.UpdateOperation, "role/web", fields{"acme_account_name": "ca"}, "being deleted")
	m.refused(http.StatusConflict, logical.UpdateOperation, "config/acme-account/ca", fields{"email_contacts": "new@example.com"}, "another operation")
	m.refused(http.StatusConflict, logical.UpdateOperation, "config/acme-account/ca/rotate-key", nil, "another operation")
	m.refused(http.StatusConflict, logical.DeleteOperation, "config/acme-account/ca", nil, "another operation")
	m.read("config/acme-account/ca", nil)
	answer()
	deletion.Wait()
	m.refused(http.StatusNotFound, logical.ReadOperation, "config/acme-account/ca", nil)
}

// TestAccountDeletionThatNeverEnded: the mark of a deletion that a crash has ended
// keeps nobody from using the account.
func TestAccountDeletionThatNeverEnded(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	storage := &frail{Storage: &logical.InmemStorage{}, kind: diesAfter}
	m := mountOn(t, storage)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	storage.arm(1)
	ca.On(acmetest.Account, acmetest.Cut())
	if _, status, _ := m.send(logical.DeleteOperation, "config/acme-account/ca", nil); status < http.StatusInternalServerError {
		t.Fatalf("the deletion has status %d", status)
	}
	m.unmount()
	m = mountOn(t, storage.Storage)
	ca.On(acmetest.Account, nil)
	m.withRole(nil)
	m.obtain(fields{"identifiers": "www.example.com"})
}

// TestAccountDeletionAfterTheFact: what the CA has ended is as good as deactivated.
func TestAccountDeletionAfterTheFact(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		first  func(*acmetest.ScriptServer) acmetest.Handler
		status int
	}{
		{
			"the answer to the first try was lost",
			func(ca *acmetest.ScriptServer) acmetest.Handler { return ca.Times(1, ca.Lost()) },
			http.StatusBadGateway,
		},
		{
			"RFC 8555 §7.3.6: unauthorized is the answer about a deactivated account",
			func(*acmetest.ScriptServer) acmetest.Handler {
				return acmetest.Problem(http.StatusUnauthorized, acme.Unauthorized, "deactivated")
			},
			http.StatusNoContent,
		},
		{
			"the CA has lost its memory",
			func(*acmetest.ScriptServer) acmetest.Handler {
				return acmetest.Problem(http.StatusBadRequest, acme.AccountDoesNotExist, "who?")
			},
			http.StatusNoContent,
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			m := newMount(t)
			m.withAccount(ca.DirectoryURL, ca.TrustedCA)
			ca.On(acmetest.Account, row.first(ca))
			if _, status, problem := m.send(logical.DeleteOperation, "config/acme-account/ca", nil); status != row.status {
				t.Fatalf("status %d (%s), want %d", status, problem, row.status)
			}
			m.delete("config/acme-account/ca", nil)
			m.refused(http.StatusNotFound, logical.ReadOperation, "config/acme-account/ca", nil)
		})
	}
}
