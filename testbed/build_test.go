package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRecentEnough(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"Vault v1.16.0":     true,
		"Vault v1.21.2+ent": true,
		"Vault v2.0.0":      true, // a new major version
		"Vault v1.15.9":     false,
		"Vault v0.11.6":     false,
		"Vault":             false, // says no version
		"":                  false,
	} {
		if got := recentEnough(version); got != want {
			t.Errorf("%q: %t, want %t", version, got, want)
		}
	}
}

func TestVaultVersionIsReadFromTheBinary(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "vault")
	for printed, want := range map[string]string{
		"Vault v1.21.2, built 2025-11-23T03:27:22Z (cgo)": "Vault v1.21.2",
		"Vault v1.19.0+ent.hsm (abc), built x":            "Vault v1.19.0+ent.hsm",
		"OpenBao v2.1.0":                                  "",
	} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s'\n", printed)
		if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		if got, err := vaultVersion(t.Context(), binary); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", printed, got, err, want)
		}
	}
}

func TestProgressTellsLinesApart(t *testing.T) {
	t.Parallel()
	var seen compiling
	for _, line := range []string{
		"go: downloading github.com/x/y v1.2.3",
		"internal/abi",
		"github.com/x/y/z",
		"# github.com/x/y",
		"./main.go:3:2: undefined: x",
	} {
		seen.hear(line)
	}
	if got := seen.String(); got != "1 modules downloaded, 2 packages compiled" {
		t.Errorf("progress is %q", got)
	}
	if got := strings.Join(seen.messages, "|"); got != "# github.com/x/y|./main.go:3:2: undefined: x" {
		t.Errorf("messages are %q", got)
	}
}

// testBuilder builds into a folder of its own from a module with one program.
func testBuilder(t *testing.T, out *strings.Builder) (*builder, part) {
	t.Helper()
	root := t.TempDir()
	b := &builder{root: root, bin: filepath.Join(root, "bin"), out: out}
	for name, content := range map[string]string{
		"go.mod":  "module tiny\n\ngo 1.26\n",
		"main.go": "package main\n\nfunc main() { println(\"one\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(b.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	return b, part{name: "tiny", from: ".", main: ".", takes: "no time", sources: []string{"go.mod", "main.go"}}
}

func TestAPartIsBuiltOncePerSource(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b, p := testBuilder(t, &out)
	built := func() (changed bool) {
		before, _ := os.Stat(b.path(p)) // absent at first
		if err := b.make(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(b.path(p))
		if err != nil {
			t.Fatal(err)
		}
		return before == nil || !os.SameFile(before, after)
	}
	if !built() {
		t.Error("not built though missing")
	}
	if built() {
		t.Error("built again though up to date")
	}
	source := filepath.Join(b.root, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(\"two\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !built() {
		t.Error("not built though its source changed")
	}
}

func TestABuildThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b, p := testBuilder(t, &out)
	if err := os.WriteFile(filepath.Join(b.root, "main.go"), []byte("package main\n\nfunc main() { nothing() }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := b.make(context.Background(), p)
	if err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(b.path(p)); !os.IsNotExist(err) {
		t.Errorf("a failed build left a binary: %v", err)
	}
}
