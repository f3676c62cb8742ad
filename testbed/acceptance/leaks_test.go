package acceptance

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestNothingIsLeftBehind enables and disables the engine fifty times, and then orders two hundred certificates. The
// plugin's process, which all mounts share, must hold no more afterwards.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	s := newSite(t, testbed.PebbleOptions{})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	role, domain := s.newRole(t, nil)
	issuer := &testbed.Issuer{Client: s.Vault.Client(), Mount: mount, Role: role, Domain: domain, Web: s.Web}
	s.issueMany(t, issuer, 20) // what is made once
	before, err := s.Vault.PluginUsage()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		path := fmt.Sprintf("passing%d", n)
		s.vault(t, "secrets", "enable", "-path="+path, testbed.CatalogName)
		s.vault(t, "read", path+"/config")
		s.vault(t, "secrets", "disable", path)
	}
	s.holdsNoMore(t, "after fifty mounts", before)
	s.issueMany(t, issuer, 200)
	s.holdsNoMore(t, "after two hundred orders", before)
}

// issueMany gets certificates, eight at a time.
func (s site) issueMany(t *testing.T, issuer *testbed.Issuer, count int) {
	t.Helper()
	var running sync.WaitGroup
	places := make(chan struct{}, 8)
	for range count {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			if err := issuer.Issue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// holdsNoMore waits until connections that nobody uses are closed.
func (s site) holdsNoMore(t *testing.T, when string, before testbed.Usage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var after testbed.Usage
	err := testbed.Until(ctx, func(context.Context) (err error) {
		if after, err = s.Vault.PluginUsage(); err != nil {
			return err
		}
		return after.Within(before)
	})
	if err != nil {
		t.Errorf("%s: %v", when, err)
	}
	t.Logf("%s the plugin holds %s, before it were %s", when, after, before)
}
