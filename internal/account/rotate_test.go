package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

var later = start.Add(time.Hour)

func TestRotate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		change  outcome
		finds   []outcome
		version int    // the active one afterwards
		pending bool   // a candidate is kept
		says    string // in the error; empty: none
		reason  string
	}{
		{fine, nil, 1, false, "", "the CA has changed the key"},
		{lost, nil, 0, true, "is unknown; the next use", "it has, but nobody heard"},
		{away, nil, 0, true, "is unknown; the next use", "nobody knows whether the request arrived"},
		{busy, nil, 0, true, "is unknown; the next use", "a server's fault may come after the effect"},
		{refused, nil, 0, false, "key on a denylist", "it does not want the key"},
		{conflict, nil, 0, false, "key is in use", "the key is another account's"},
		{repeated, nil, 1, false, "", "it refuses because it has changed the key already"},
		{repeated, []outcome{away}, 0, true, "connection refused", "it does, and then cannot be asked"},
		{refused, []outcome{away}, 0, true, "key on a denylist", "the refusal is told even if it cannot be confirmed"},
	} {
		v, ca := opened(t)
		ca.change, ca.finds = test.change, test.finds
		err := Rotate(context.Background(), v.load(), keys.EC384, ca, v.save, later)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.reason, err, test.says)
		}
		a := v.load()
		if a.ActiveVersion() != test.version || (a.Candidate != nil) != test.pending {
			t.Errorf("%s: version %d, candidate %t", test.reason, a.ActiveVersion(), a.Candidate != nil)
		}
		if !test.pending {
			v.inForce(t, ca, test.reason)
		}
	}
}

func TestRotateNotesTheVersion(t *testing.T) {
	t.Parallel()
	v, ca := opened(t)
	if err := Rotate(context.Background(), v.load(), keys.EC384, ca, v.save, later); err != nil {
		t.Fatal(err)
	}
	a := v.load()
	want := []KeyVersion{{keys.EC256, start}, {keys.EC384, later}}
	if fmt.Sprint(a.Versions) != fmt.Sprint(want) || !a.Updated.Equal(later) || !a.Created.Equal(start) || a.KeyKind != keys.EC256 {
		t.Errorf("versions %v, updated %s, created %s", a.Versions, a.Updated, a.Created)
	}
	if ca.requests != 1 {
		t.Errorf("%d requests, want the key change alone", ca.requests)
	}
}

// TestRotateStoresBeforeItAsks holds that a key which the CA may come to know
// is stored before.
func TestRotateStoresBeforeItAsks(t *testing.T) {
	t.Parallel()
	v, ca := opened(t)
	v.failAt = 1
	if err := Rotate(context.Background(), v.load(), keys.EC256, ca, v.save, later); !errors.Is(err, errStorage) || ca.requests > 0 {
		t.Errorf("%v after %d requests", err, ca.requests)
	}
}

func TestRotateWithWhatCannotBe(t *testing.T) {
	t.Parallel()
	v, ca := opened(t)
	if err := Rotate(context.Background(), v.load(), "ed25519", ca, v.save, later); err == nil {
		t.Error("made a key of a kind that does not exist")
	}
	a := v.load()
	a.Key = "damaged"
	if err := Rotate(context.Background(), a, keys.EC256, ca, v.save, later); err == nil || strings.Contains(err.Error(), "damaged") {
		t.Errorf("rotated a key that cannot be read, or showed it: %v", err)
	}
	if ca.requests+v.saves > 0 {
		t.Errorf("%d requests, %d saves", ca.requests, v.saves)
	}
	v.inForce(t, ca, "nothing was done")
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		switched bool
		finds    []outcome
		version  int
		pending  bool
		says     string
		reason   string
	}{
		{true, nil, 1, false, "", "the CA knows the candidate"},
		{false, nil, 0, false, "", "the CA knows the old key"},
		{true, []outcome{away}, 0, true, "connection refused", "the CA cannot be asked"},
		{true, []outcome{busy}, 0, true, "503", "the CA has no time"},
		{false, []outcome{fine, away}, 0, true, "connection refused", "it does not know the candidate, and is then away"},
		{true, []outcome{blocked}, 0, true, "neither", "a firewall's refusal says nothing about the candidate, and the old key is unknown"},
		{false, []outcome{blocked}, 0, false, "", "a firewall's refusal, but the old key is known"},
		{true, []outcome{blocked, blocked}, 0, true, "blocked by a firewall", "a firewall refuses everything"},
		{false, []outcome{refused}, 0, false, "", "the CA takes no such key, and knows the old one"},
	} {
		v, ca := opened(t)
		v.leaveOpen(ca, test.switched)
		ca.finds = test.finds
		err := Reconcile(context.Background(), v.load(), ca, v.save, later)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.reason, err, test.says)
		}
		a := v.load()
		if a.ActiveVersion() != test.version || (a.Candidate != nil) != test.pending {
			t.Errorf("%s: version %d, candidate %t", test.reason, a.ActiveVersion(), a.Candidate != nil)
		}
		if made := a.Versions[a.ActiveVersion()].Created; !made.Equal(start) {
			t.Errorf("%s: the key is said to have been made when the change was settled, at %s", test.reason, made)
		}
		if !test.pending {
			v.inForce(t, ca, test.reason)
		}
	}
}

// leaveOpen leaves a key change behind whose answer was lost.
func (v *vault) leaveOpen(ca *fakeCA, switched bool) {
	ca.change = outcome{away.err, switched}
	if err := Rotate(context.Background(), v.load(), keys.EC384, ca, v.save, start); err == nil {
		v.t.Fatal("the answer was not lost")
	}
	ca.change = fine
}

func TestReconcileWithoutACandidateAsksNobody(t *testing.T) {
	t.Parallel()
	v, ca := opened(t)
	ca.finds = []outcome{away}
	if err := Reconcile(context.Background(), v.load(), ca, v.save, later); err != nil || ca.requests+v.saves > 0 {
		t.Errorf("%v after %d requests and %d saves", err, ca.requests, v.saves)
	}
}

// TestReconcileOddities are states that should not be.
func TestReconcileOddities(t *testing.T) {
	t.Parallel()
	t.Run("the candidate cannot be read", func(t *testing.T) {
		t.Parallel()
		v, ca := opened(t)
		a := v.load()
		a.Candidate = &Candidate{Key: "damaged", Kind: keys.EC256}
		if err := Reconcile(context.Background(), a, ca, v.save, later); err != nil {
			t.Error(err)
		}
		v.inForce(t, ca, "it is of no use to anybody")
	})
	t.Run("the key cannot be read", func(t *testing.T) {
		t.Parallel()
		v, ca := opened(t)
		v.leaveOpen(ca, false)
		a := v.load()
		a.Key = "damaged"
		if err := Reconcile(context.Background(), a, ca, v.save, later); err == nil || a.Candidate == nil {
			t.Error("the candidate, which may be all there is, was given up")
		}
	})
	t.Run("the account has two URLs", func(t *testing.T) {
		t.Parallel()
		for _, switched := range []bool{true, false} {
			v, ca := opened(t)
			v.leaveOpen(ca, switched)
			ca.alias = "https://ca.example:443/account/1"
			if err := Reconcile(context.Background(), v.load(), ca, v.save, later); err != nil {
				t.Error(err)
			}
			v.inForce(t, ca, fmt.Sprint("switched: ", switched))
		}
	})
	t.Run("the candidate is another account's key", func(t *testing.T) {
		t.Parallel()
		v, ca := opened(t)
		a := v.load()
		other := newKey(t, keys.EC256)
		ca.accounts["https://ca/account/3"] = other.Public()
		text, err := keys.Encode(other)
		if err != nil {
			t.Fatal(err)
		}
		a.Candidate = &Candidate{Key: secret.Text(text), Kind: keys.EC256}
		if err := Reconcile(context.Background(), a, ca, v.save, later); err != nil {
			t.Error(err)
		}
		v.inForce(t, ca, "it is not ours")
	})
	t.Run("the CA has forgotten the account", func(t *testing.T) {
		t.Parallel()
		v, ca := opened(t)
		v.leaveOpen(ca, true)
		clear(ca.accounts)
		err := Reconcile(context.Background(), v.load(), ca, v.save, later)
		if !acme.IsProblem(err, acme.AccountDoesNotExist) || v.load().Candidate == nil {
			t.Errorf("%v", err)
		}
	})
}
