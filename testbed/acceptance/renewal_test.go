package acceptance

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRenewal has certificates renewed in real time, of names that Vault proves by DNS.
func TestRenewal(t *testing.T) {
	t.Parallel()
	s := newDNSSite(t, map[string]time.Duration{"minutes": 2 * time.Minute, "longer": 8 * time.Minute})
	for _, part := range []struct {
		what string
		test func(*testing.T)
	}{
		{"certificates of two minutes", s.shortLived},
		{"a CA that wants one renewed at once", s.recalled},
		{"at somebody's wish", s.renewedNow},
	} {
		t.Run(part.what, func(t *testing.T) {
			t.Parallel()
			part.test(t)
		})
	}
}

// renewing makes a role whose certificates are renewed, and orders the first.
func (s dnsSite) renewing(t *testing.T, more fields) (role, domain string, first order) {
	t.Helper()
	domain = newDomain(bindZone)
	s.updater(t, s.primary, domain, nil)
	role = s.roleFor(t, domain, more)
	first = s.orderFor(t, role, domain)
	first.await(t, stateCompleted)
	return role, domain, first
}

// cachedFor is the certificate that is served.
func (s dnsSite) cachedFor(t *testing.T, role, domain string) fields {
	t.Helper()
	return s.read(t, "role/"+role+"/cached?identifiers="+domain)
}

// renewed waits until another certificate is served than the one with a serial number. Until then the old one is, and
// is valid.
func (s dnsSite) renewed(t *testing.T, role, domain, serial string) fields {
	t.Helper()
	ctx := t.Context()
	for deadline := time.Now().Add(patience); ; {
		answer := s.call(t, http.MethodGet, "role/"+role+"/cached?identifiers="+domain, nil)
		if answer.Status != http.StatusOK {
			t.Fatalf("no certificate is served: %d: %s", answer.Status, answer.Body)
		}
		if answer.Data.text(t, "serial_number") != serial {
			return answer.Data
		}
		if time.Now().After(deadline) {
			t.Fatalf("certificate %s was not renewed within %s: %v %v", serial, patience, answer.Data["renew_at"], answer.Warnings)
		}
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(time.Second / 2):
		}
	}
}

// shortLived holds that a certificate which is read all the time is always a valid one, over two renewals.
func (s dnsSite) shortLived(t *testing.T) {
	role, domain, first := s.renewing(t, fields{"auto_renew": true, "profile": "minutes"})
	cert := s.cachedFor(t, role, domain)
	for range 2 {
		next := s.renewed(t, role, domain, cert.text(t, "serial_number"))
		if ends, err := time.Parse(time.RFC3339, cert.text(t, "not_after")); err != nil || !time.Now().Before(ends) {
			t.Errorf("the certificate was replaced after its end, %s (%v)", ends, err)
		}
		if next["private_key"] == cert["private_key"] {
			t.Error("the new certificate has the key of the old one")
		}
		s.verified(t, next, domain)
		cert = next
	}
	by := order{s.site, role, first.read(t, first.path()+"/status").text(t, "renewed_by")}
	if got := by.read(t, by.path()+"/status").text(t, "renews"); got != first.id {
		t.Errorf("order %s renews %q, want %s", by.id, got, first.id)
	}
	noProofs(t, s.primary.Addr, bindZone, domain)
}

// recalled holds that a CA which moves the window of a certificate into the past has it replaced as soon as it is asked
// next, and is told what is replaced.
func (s dnsSite) recalled(t *testing.T) {
	role, domain, _ := s.renewing(t, fields{"auto_renew": true, "profile": "longer"})
	cert := s.cachedFor(t, role, domain)
	now := time.Now()
	if err := s.Pebble.Suggest(t.Context(), cert.text(t, "certificate"), now.Add(-time.Hour), now.Add(-time.Minute), "https://ca.example/incident"); err != nil {
		t.Fatal(err)
	}
	s.renewed(t, role, domain, cert.text(t, "serial_number"))
	if log, err := os.ReadFile(filepath.Join(s.Dir, "pebble.log")); err != nil || !strings.Contains(string(log), "is a replacement of") {
		t.Errorf("the CA was not told that a certificate is replaced (%v)", err)
	}
}

// renewedNow is for a role that does not renew by itself.
func (s dnsSite) renewedNow(t *testing.T) {
	role, domain, first := s.renewing(t, fields{"profile": "longer", "reuse_key": true})
	cert := s.cachedFor(t, role, domain)
	path := "role/" + role + "/renew"
	s.call(t, http.MethodPost, path, fields{"identifiers": domain}).expect(t, http.StatusConflict, first.id, "force=true")
	by := order{s.site, role, s.write(t, path, fields{"identifiers": domain, "force": true}).text(t, "order_id")}
	by.await(t, stateCompleted)
	if next := s.renewed(t, role, domain, cert.text(t, "serial_number")); next["private_key"] != cert["private_key"] {
		t.Error("the new certificate has another key than the old one")
	}
}
