package acceptance

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// shared serves every test that breaks nothing. Its account is called "pebble".
var shared site

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "pki-external-ca-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bed, err := testbed.NewBed(ctx, dir, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer bed.Stop()
	shared = site{bed}
	if err := shared.prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code := m.Run(); code != 0 {
		return code
	}
	return reportRaces(shared)
}

// reportRaces fails the run if data races were seen in the plugin.
func reportRaces(s site) (code int) {
	races, err := s.Vault.Races()
	for _, race := range races {
		fmt.Fprintln(os.Stderr, race)
	}
	if err != nil || len(races) > 0 {
		fmt.Fprintln(os.Stderr, "the plugin has data races", err)
		return 1
	}
	return 0
}
