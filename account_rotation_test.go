package pkiexternalca

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/field"
)

const ofCA = "config/acme-account/ca"

// awaitKey waits until an account has a version of its key, and gives the account.
func (m *mount) awaitKey(version int) (account fields) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("the key to have version %d", version), func() bool {
		account = m.read(ofCA, nil)
		return account["active_key_version"] == version
	})
	return account
}

// awaitComplaint waits until an account shows why it keeps its key.
func (m *mount) awaitComplaint() (account fields) {
	m.t.Helper()
	eventually(m.t, "an error of the rotation", func() bool {
		account = m.read(ofCA, nil)
		return account["last_rotation_error"] != ""
	})
	return account
}

// moment reads a time of an answer.
func moment(t testing.TB, answer fields, name string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, answer[name].(string))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return at
}

// TestRotationByAge: the key is changed when it is old enough, each time, to one of
// the same kind, and the account stays the same one.
func TestRotationByAge(t *testing.T) {
	t.Parallel()
	ca, clock := acmetest.Pebble(t, acmetest.AlwaysValid()), &leaping{}
	m := newMount(t, clock.option)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	before := m.write(ofCA, fields{"rotation_period": "240h"})
	m.write(ofCA+"/rotate-key", fields{"key_type": "ec-384", "force": true})
	if got := moment(t, before, "last_rotated"); !got.IsZero() {
		t.Errorf("the first key was put in the place of another at %s", got)
	}
	m = clock.leap(m, 239*time.Hour)
	if next := moment(t, m.read(ofCA, nil), "next_rotation"); next.Sub(m.now()).Round(time.Minute) != time.Hour {
		t.Errorf("the next rotation is at %s, want in an hour", next)
	}
	for version := 2; version <= 3; version++ {
		m = clock.leap(m, 241*time.Hour)
		after := m.awaitKey(version)
		last, next := moment(t, after, "last_rotated"), moment(t, after, "next_rotation")
		if m.now().Sub(last) > time.Hour || next.Sub(last) != 240*time.Hour || after["last_rotation_error"] != "" {
			t.Errorf("the account is %v", after)
		}
		if kind := after["account_keys"].(fields)[fmt.Sprint(version)].(fields)["key_type"]; kind != "ec-384" {
			t.Errorf("the new key is of the kind %v", kind)
		}
		if after["account_url"] != before["account_url"] || m.urlByStoredKey("ca") != before["account_url"] {
			t.Errorf("the account is %v, was %v", after, before)
		}
		m.obtain(fields{"identifiers": fmt.Sprintf("v%d.example.com", version)})
	}
}

// TestRotationPeriodOfAnAccount holds what may be set, and when it has effect.
func TestRotationPeriodOfAnAccount(t *testing.T) {
	t.Parallel()
	m, ca, clock := withLimits(t)
	if got := m.read(ofCA, nil); got["rotation_period"] != int64(0) || !moment(t, got, "next_rotation").IsZero() {
		t.Errorf("without a period the account is %v", got)
	}
	for _, wrong := range []any{"59m", -1, "90000h", 1 << 62, "soon", []string{"1h"}} {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, ofCA, fields{"rotation_period": wrong}, "rotation_period")
	}
	if made := m.write("config/acme-account/other", with(accountAt(ca.DirectoryURL, ca.TrustedCA), fields{"rotation_period": "24h"})); made["rotation_period"] != int64(86400) {
		t.Errorf("a new account has the period %v", made["rotation_period"])
	}
	m.write(ofCA, fields{"rotation_period": "100h"})
	if got := m.write(ofCA, fields{"email_contacts": "new@example.com"}); got["rotation_period"] != int64(360000) {
		t.Errorf("a write of something else made the period %v", got["rotation_period"])
	}
	m = clock.leap(m, 10*time.Hour)
	if got := m.read(ofCA, nil); got["active_key_version"] != 0 {
		t.Errorf("the key was changed too early: %v", got)
	}
	m.write(ofCA, fields{"rotation_period": "9h"}) // is due by that, and done without a restart
	m.awaitKey(1)
}

// TestRotationWaitsForChallenges: a challenge in place would become wrong with the
// key (RFC 8555 §8.1), so the key stays until there is none.
func TestRotationWaitsForChallenges(t *testing.T) {
	t.Parallel()
	m, ca, clock := withLimits(t)
	m.write("config/acme-account/other", with(accountAt(ca.DirectoryURL, ca.TrustedCA), fields{"rotation_period": "1h"}))
	m.write(ofCA, fields{"rotation_period": "1h"})
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	challenge := func() any {
		return m.read("role/web/order/"+id+"/challenge", fields{"identifier": "www.example.com", "challenge_type": "http-01"})["challenge_auth"]
	}
	told := challenge()
	m = clock.leap(m, 61*time.Minute)
	waiting := m.awaitComplaint()
	if why := waiting["last_rotation_error"]; why != "order "+id+" may have challenges in place, which another key would make worthless" {
		t.Errorf("the account says %q", why)
	}
	if next := moment(t, waiting, "next_rotation"); next.Before(m.now().Add(30*time.Second)) || next.After(m.now().Add(time.Minute)) {
		t.Errorf("it is tried again at %s, now is %s", next, field.FormatTime(m.now()))
	}
	eventually(t, "the account without orders to have another key", func() bool {
		return m.read("config/acme-account/other", nil)["active_key_version"] == 1
	})
	if again := challenge(); again != told {
		t.Error("the challenge has become another one")
	}
	m.report(id)
	m.awaitStatus("web", id, "completed")
	m = clock.leap(m, 2*time.Minute)
	if after := m.awaitKey(1); after["last_rotation_error"] != "" {
		t.Errorf("the account is %v", after)
	}
}

// TestRotationIsTriedAgain: what the CA said is shown, and when it is asked again.
func TestRotationIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		answer acmetest.Handler
		words  string
		wait   time.Duration
	}{
		{"a refusal", acmetest.Problem(http.StatusBadRequest, acme.BadPublicKey, "not this curve"), "not this curve", time.Minute},
		{"a CA that rests", acmetest.With("Retry-After", "600", acmetest.HTML(http.StatusServiceUnavailable, "maintenance")), "503", 10 * time.Minute},
		{"no answer", acmetest.Cut(), "unknown; the next use", time.Minute},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, ca, clock := withLimits(t)
			m.write(ofCA, fields{"rotation_period": "1h"})
			ca.On(acmetest.KeyChange, row.answer)
			m = clock.leap(m, 61*time.Minute)
			if got := m.awaitComplaint()["last_rotation_error"]; !strings.Contains(got.(string), row.words) {
				t.Errorf("the account says %q, want %q", got, row.words)
			}
			m = clock.leap(m, row.wait-30*time.Second)
			m.obtain(fields{"identifiers": "www.example.com"})
			if n := ca.Count(acmetest.KeyChange); n != 1 {
				t.Errorf("the CA was asked %d times before it was time", n)
			}
			ca.On(acmetest.KeyChange, nil)
			m = clock.leap(m, time.Minute)
			if after := m.awaitKey(1); after["last_rotation_error"] != "" {
				t.Errorf("the account is %v", after)
			}
		})
	}
}
