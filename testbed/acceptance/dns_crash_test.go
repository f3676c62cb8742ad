package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// inPlace makes an order whose record is written and cannot be seen before the stale server has caught up.
func (s dnsSite) inPlace(t *testing.T, role, name string) order {
	t.Helper()
	o := s.orderFor(t, role, name)
	o.await(t, statePropagating)
	awaitProofs(t, s.late.Addr, lateZone, name, 1)
	return o
}

// interruptions holds that no record is forgotten, whatever happens to Vault, neither of an order that goes on nor of
// one that ends.
func (s dnsSite) interruptions(t *testing.T) {
	s = s.withVault(t)
	for _, i := range interruptions {
		t.Run(i.name, func(t *testing.T) {
			domain := newDomain(lateZone)
			s.updater(t, s.late, domain, nil)
			s.updater(t, s.late, "hasty."+domain, hasty(nil))
			role := s.roleFor(t, domain, nil)
			going := s.inPlace(t, role, "going."+domain)
			ending := s.inPlace(t, role, "hasty."+domain)
			if err := i.happens(t.Context(), s.site); err != nil {
				t.Fatal(err)
			}
			ending.await(t, stateError)
			noProofs(t, s.late.Addr, lateZone, "hasty."+domain)
			s.catchUp(t, domain)
			going.await(t, stateCompleted)
			s.checkKeyed(t, going.read(t, going.path()+"/fetch-cert"), "going."+domain)
			noProofs(t, s.late.Addr, lateZone, domain)
		})
	}
	t.Run("a trial is interrupted", s.interruptedTrial)
}

// interruptedTrial is a trial whose answer gets lost. Nobody has an order for its record.
func (s dnsSite) interruptedTrial(t *testing.T) {
	domain := newDomain(lateZone)
	body := fields{"identifier": domain, "provider_type": "rfc2136", "provider_name": s.updater(t, s.late, domain, nil)}
	ctx, token := t.Context(), s.Vault.Token
	go func() { _, _ = s.send(ctx, token, http.MethodPost, "dns/test/workflow", body) }()
	awaitProofs(t, s.late.Addr, lateZone, domain, 1)
	if err := killAll(s.Vault.PluginPIDs()); err != nil {
		t.Fatal(err)
	}
	s.awaitPlugin(t)
	noProofs(t, s.late.Addr, lateZone, domain)
}

// awaitPlugin makes Vault start the plugin again, which it would do by itself within a minute.
func (s dnsSite) awaitPlugin(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := testbed.Until(ctx, func(ctx context.Context) error {
		a, err := s.send(ctx, s.Vault.Token, http.MethodGet, "config", nil)
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// changesMidway holds that records are removed with whatever removes them, when what they were for or what wrote
// them is gone.
func (s dnsSite) changesMidway(t *testing.T) {
	domain := newDomain(lateZone)
	role, doomed := s.roleFor(t, domain, nil), s.roleFor(t, domain, nil)
	key := s.late.Keys["hmac-sha512"]

	s.updater(t, s.late, "doomed."+domain, nil)
	s.inPlace(t, doomed, "doomed."+domain)
	s.call(t, http.MethodDelete, "role/"+doomed, nil).expect(t, http.StatusConflict, "force")
	awaitProofs(t, s.late.Addr, lateZone, "doomed."+domain, 1)
	s.must(t, http.MethodDelete, "role/"+doomed+"?force=true", nil)
	noProofs(t, s.late.Addr, lateZone, "doomed."+domain)

	path := "config/dns/rfc2136/" + s.updater(t, s.late, "orphan."+domain, nil)
	orphan := s.inPlace(t, role, "orphan."+domain)
	s.must(t, http.MethodDelete, path, nil)
	s.call(t, http.MethodGet, path, nil).expect(t, http.StatusNotFound)

	replaced := s.updater(t, s.late, "replaced."+domain, nil)
	again := s.inPlace(t, role, "replaced."+domain)
	s.must(t, http.MethodDelete, "config/dns/rfc2136/"+replaced, nil)
	s.write(t, "config/dns/rfc2136/"+replaced, withIdentifiers(signedBy(s.late, key), "another."+domain))

	rotated := s.updater(t, s.late, "rotated."+domain, nil)
	other := s.inPlace(t, role, "rotated."+domain)
	s.write(t, "config/dns/rfc2136/"+rotated, signedBy(s.late, key))

	s.catchUp(t, domain)
	orphan.await(t, stateCompleted)
	other.await(t, stateCompleted)
	again.await(t, stateCompleted)
	noProofs(t, s.late.Addr, lateZone, domain)
	lines := writes(t, s.late, "rotated."+domain)
	if last := lines[len(lines)-1]; !strings.Contains(last, "deleting") || !strings.Contains(last, "/key "+key.Name+":") {
		t.Errorf("the record was to be removed with the new key, not: %s", last)
	}
}
