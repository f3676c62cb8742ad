package testbed

import (
	"net"
	"os"
	"strings"
	"testing"
)

// vaultBinary is the program that Build makes.
func vaultBinary(t *testing.T) string {
	t.Helper()
	b, err := newBuilder(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := b.vault(t.Context())
	b.unlock()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func startTestVault(t *testing.T, storage Storage) *Vault {
	t.Helper()
	v, err := StartVault(t.Context(), VaultOptions{Binary: vaultBinary(t), Dir: t.TempDir(), Storage: storage})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Stop)
	return v
}

func mustRun(t *testing.T, v *Vault, args ...string) string {
	t.Helper()
	out, err := v.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestVaultKeepsItsStorageOverSealKillAndRestart(t *testing.T) {
	t.Parallel()
	v := startTestVault(t, Raft)
	mustRun(t, v, "secrets", "enable", "-version=1", "kv")
	mustRun(t, v, "write", "kv/x", "v=kept")
	for name, interrupt := range map[string]func() error{
		"restart":        func() error { return v.Restart(t.Context()) },
		"kill":           func() error { return join(v.Kill(), v.Restart(t.Context())) },
		"seal, unsealed": func() error { return join(v.Seal(t.Context()), v.Unseal(t.Context())) },
	} {
		if err := interrupt(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := mustRun(t, v, "read", "-field=v", "kv/x"); got != "kept" {
			t.Fatalf("after %s: read %q, wrote %q", name, got, "kept")
		}
	}
}

// join returns the first error, having made both calls.
func join(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func TestVaultLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	v := startTestVault(t, InMemory)
	v.Stop()
	for _, port := range []int{v.port, v.cluster} {
		l, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			t.Errorf("port is still taken: %v", err)
			continue
		}
		_ = l.Close()
	}
}

func TestVaultCommandLineReportsFailure(t *testing.T) {
	t.Parallel()
	v := startTestVault(t, InMemory)
	out, err := v.CLI(t.Context(), "read", "nowhere/x")
	if err != nil {
		t.Fatal(err)
	}
	if out.Code != 2 || !strings.Contains(out.Stderr, "No value found at nowhere/x") {
		t.Errorf("reading nowhere: exit status %d, %q", out.Code, out.Stderr)
	}
	if _, err := v.Run(t.Context(), "read", "nowhere/x"); err == nil {
		t.Error("Run of a failing command returned no error")
	}
}
