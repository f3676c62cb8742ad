package account

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

const accountURL = "https://ca/account/1"

var start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// fakeCA knows accounts by their keys, and answers as it is told to.
type fakeCA struct {
	accounts map[string]crypto.PublicKey // by URL
	// change is what becomes of the next key change.
	change outcome
	// finds are what becomes of the next look-ups; afterwards they succeed.
	finds []outcome
	// alias is a second spelling of the account's URL, which look-ups give.
	alias string
	// requests counts what the CA was asked.
	requests int
}

// outcome is how a request ends: with or without effect, with or without an
// error.
type outcome struct {
	err    error
	effect bool
}

var (
	fine     = outcome{effect: true}
	lost     = outcome{err: &acme.Unreachable{Doing: "asking", Err: errors.New("connection reset")}, effect: true}
	away     = outcome{err: &acme.Unreachable{Doing: "asking", Err: errors.New("connection refused")}}
	busy     = outcome{err: &acme.Problem{Status: 503, RetryAfter: time.Minute}}
	refused  = outcome{err: &acme.Problem{Status: 400, Type: acme.BadPublicKey, Detail: "key on a denylist"}}
	conflict = outcome{err: &acme.Problem{Status: 409, Detail: "key is in use", Location: "https://ca/account/2"}}
	// repeated is the answer to the second of two requests whose first was lost
	// on the way back: the old key is not the account's any more.
	repeated = outcome{err: &acme.Problem{Status: 401, Type: acme.Unauthorized, Detail: "JWS verification error"}, effect: true}
	blocked  = outcome{err: &acme.Problem{Status: 403, Detail: "request blocked by a firewall"}}
)

// FindAccount implements CA.
func (ca *fakeCA) FindAccount(_ context.Context, key crypto.Signer) (acme.Account, error) {
	ca.requests++
	if len(ca.finds) > 0 {
		next := ca.finds[0]
		ca.finds = ca.finds[1:]
		if next.err != nil {
			return acme.Account{}, next.err
		}
	}
	for url, public := range ca.accounts {
		if keys.Same(public, key.Public()) {
			if ca.alias != "" && url == accountURL {
				url = ca.alias
			}
			return acme.Account{URL: url, Status: acme.StatusValid}, nil
		}
	}
	return acme.Account{}, &acme.Problem{Status: 400, Type: acme.AccountDoesNotExist, Detail: "no such account"}
}

// ChangeKey implements CA.
func (ca *fakeCA) ChangeKey(_ context.Context, url string, from, to crypto.Signer) error {
	ca.requests++
	if !keys.Same(ca.accounts[url], from.Public()) {
		return &acme.Problem{Status: 401, Type: acme.Unauthorized, Detail: "JWS verification error"}
	}
	if ca.change.effect {
		ca.accounts[url] = to.Public()
	}
	return ca.change.err
}

// vault keeps an account as storage does, and fails on demand.
type vault struct {
	t      testing.TB
	stored []byte
	// saves counts them; save failAt fails, after its effect if late is set.
	saves, failAt int
	late          bool
}

var errStorage = errors.New("storage is away")

func (v *vault) save(a *Account) error {
	v.saves++
	fails := v.saves == v.failAt
	if !fails || v.late {
		raw, err := json.Marshal(a)
		if err != nil {
			v.t.Fatal(err)
		}
		v.stored = raw
	}
	if fails {
		return errStorage
	}
	return nil
}

func (v *vault) load() *Account {
	a := new(Account)
	if err := json.Unmarshal(v.stored, a); err != nil {
		v.t.Fatal(err)
	}
	return a
}

// opened is an account that its CA knows.
func opened(t testing.TB) (*vault, *fakeCA) {
	t.Helper()
	a := &Account{Name: "main", URL: accountURL, KeyKind: keys.EC256, Created: start, Updated: start}
	key := newKey(t, keys.EC256)
	if err := a.SetKey(key, start); err != nil {
		t.Fatal(err)
	}
	v := &vault{t: t}
	if err := v.save(a); err != nil {
		t.Fatal(err)
	}
	v.saves = 0
	other := newKey(t, keys.EC256)
	return v, &fakeCA{change: fine, accounts: map[string]crypto.PublicKey{accountURL: key.Public(), "https://ca/account/2": other.Public()}}
}

func newKey(t testing.TB, kind keys.Kind) crypto.Signer {
	t.Helper()
	key, err := keys.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// inForce holds that the stored key is the one that the CA knows, and that the
// versions tell of it.
func (v *vault) inForce(t testing.TB, ca *fakeCA, story string) {
	t.Helper()
	a := v.load()
	key, err := a.Signer()
	if err != nil {
		t.Fatalf("%s: %v", story, err)
	}
	if !keys.Same(key.Public(), ca.accounts[accountURL]) {
		t.Errorf("%s: the CA knows another key than the one that is kept; the account is lost", story)
	}
	if a.Candidate != nil {
		t.Errorf("%s: the candidate is kept though all is settled", story)
	}
	if last := a.Versions[a.ActiveVersion()]; last.Kind != keys.KindOf(key.Public()) {
		t.Errorf("%s: version %d is said to be %s, and is %s", story, a.ActiveVersion(), last.Kind, keys.KindOf(key.Public()))
	}
}
