package pkiexternalca

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// accountOperation is something done to the account "main", and what must be
// true once it has succeeded, whatever happened on the way.
type accountOperation struct {
	name  string
	begin func(*accountTrial)
	op    logical.Operation
	path  string
	body  func(*accountTrial) fields
	check func(*accountTrial)
	// again is what a repetition may answer besides success: the first try may
	// have succeeded although the storage said otherwise.
	again int
}

// accountTrial is one try of an operation on a storage that fails.
type accountTrial struct {
	*mount
	ca  *acmetest.ScriptServer
	key string // of the account to be imported
	url string // of the account that was there before
}

var accountOperations = []accountOperation{
	{
		name: "creation", begin: func(*accountTrial) {},
		op: logical.UpdateOperation, path: "config/acme-account/main", body: (*accountTrial).account,
		check: (*accountTrial).isWhole,
	},
	{
		name: "import", begin: (*accountTrial).registerElsewhere,
		op: logical.UpdateOperation, path: "config/acme-account/main/import", body: (*accountTrial).importation,
		check: (*accountTrial).isWhole, again: http.StatusConflict,
	},
	{
		name: "rotation", begin: (*accountTrial).create,
		op: logical.UpdateOperation, path: "config/acme-account/main/rotate-key", body: func(*accountTrial) fields { return nil },
		check: (*accountTrial).isWhole,
	},
	{
		name: "change of contacts", begin: (*accountTrial).create,
		op: logical.UpdateOperation, path: "config/acme-account/main", body: func(*accountTrial) fields { return fields{"email_contacts": "new@example.com"} },
		check: (*accountTrial).isWhole,
	},
	{
		name: "deletion", begin: (*accountTrial).create,
		op: logical.DeleteOperation, path: "config/acme-account/main", body: func(*accountTrial) fields { return nil },
		check: (*accountTrial).isGone,
	},
}

func (a *accountTrial) account() fields { return accountAt(a.ca.DirectoryURL, a.ca.TrustedCA) }

func (a *accountTrial) create() {
	a.url = a.write("config/acme-account/main", a.account())["account_url"].(string)
}

func (a *accountTrial) registerElsewhere() {
	key := newKey(a.t)
	_, a.url = registered(a.t, a.ca.DirectoryURL, a.ca.TrustedCA, key)
	a.key = encoded(a.t, key)
}

func (a *accountTrial) importation() fields {
	return fields{"directory_url": a.ca.DirectoryURL, "trusted_ca": string(a.ca.TrustedCA), "account_key": a.key}
}

// isWhole demands one account at the CA, with the key that is stored, and work
// that can be done with it.
func (a *accountTrial) isWhole() {
	a.t.Helper()
	if n := accountsMade(a.ca); n != 1 {
		a.t.Errorf("the CA was asked to register %d keys, want 1", n)
	}
	got := a.read("config/acme-account/main", nil)
	if a.url != "" && got["account_url"] != a.url {
		a.t.Errorf("account_url is %v, was %s", got["account_url"], a.url)
	}
	a.write("role/web", fields{"acme_account_name": "main", "allowed_domains": "example.com", "allowed_domain_options": "subdomains"})
	a.obtain(fields{"identifiers": "www.example.com"})
	if url := a.urlByStoredKey("main"); url != got["account_url"] {
		a.t.Errorf("the stored key is that of %q, account_url is %v", url, got["account_url"])
	}
	a.delete("role/web", nil)
	a.delete("config/acme-account/main", nil)
	a.isGone()
}

// isGone demands that nothing of the account is left, here or at the CA.
func (a *accountTrial) isGone() {
	a.t.Helper()
	for _, prefix := range []string{accounts.Prefix, registrations.Prefix} {
		if left := storedBelow(a.t, a.storage, prefix); len(left) > 0 {
			a.t.Errorf("the deletion left %q", left)
		}
	}
	a.create() // a name that is free again
}

// TestAccountSurvivesItsStorage lets the storage fail at every single write of
// every operation, and die there, and then repeats the request.
func TestAccountSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	for _, operation := range accountOperations {
		writes := operation.try(t, "", 0)
		if writes == 0 {
			t.Errorf("the %s writes nothing", operation.name)
		}
		for _, kind := range failures {
			for n := 1; n <= writes; n++ {
				t.Run(fmt.Sprintf("%s/%s/write %d", operation.name, kind, n), func(t *testing.T) {
					t.Parallel()
					operation.try(t, kind, n)
				})
			}
		}
	}
}

// try does the operation with a storage that fails at the nth write, and gives
// the number of writes.
func (o accountOperation) try(t *testing.T, kind failure, n int) int {
	storage := &frail{Storage: &logical.InmemStorage{}, kind: kind}
	a := &accountTrial{mount: mountOn(t, storage), ca: acmetest.Script(t)}
	o.begin(a)
	storage.arm(n)
	_, status, problem := a.send(o.op, o.path, o.body(a))
	writes := storage.count()
	if status >= http.StatusBadRequest && n == 0 {
		t.Fatalf("the %s failed: %s", o.name, problem)
	}
	if storage.isDead() {
		a.unmount()
		a.mount = mountOn(t, storage.Storage)
	}
	if n > 0 {
		if _, status, problem = a.send(o.op, o.path, o.body(a)); status >= http.StatusBadRequest && status != o.again {
			t.Fatalf("repeating the %s failed with status %d: %s", o.name, status, problem)
		}
	}
	o.check(a)
	return writes
}
