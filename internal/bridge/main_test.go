package bridge

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	pluginName = "vault-plugin-secrets-pki-external-ca"
	// version is what the program is told at build to be.
	version = "v1.2.3-bridge"
)

// program is the plugin as it is shipped, built once for all tests.
var program struct {
	path string
	sum  [sha256.Size]byte
}

func TestMain(m *testing.M) {
	if path := os.Getenv(hostVariable); path != "" {
		os.Exit(runHost(path))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bridge-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := build(filepath.Join(dir, pluginName)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(path string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X "+pluginName+".Version="+version,
		"-o", path, pluginName+"/cmd/"+pluginName)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the plugin: %w: %s", err, out)
	}
	return useProgram(path)
}

// useProgram notes which program the tests run. Vault starts none whose checksum
// it does not know.
func useProgram(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	program.path, program.sum = path, sha256.Sum256(content)
	return nil
}

// patience is how long tests wait for something that should happen.
const patience = 30 * time.Second

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", patience, what)
		case <-tick.C:
		}
	}
}
