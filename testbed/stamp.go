package testbed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// stamp identifies what p would be built from: the Go toolchain and its target, the flags, and the sources.
// It is empty for a part without sources, which is never taken to be up to date.
func (b *builder) stamp(ctx context.Context, p part) (string, error) {
	if len(p.sources) == 0 {
		return "", nil
	}
	toolchain, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w: is Go installed?", err)
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n", toolchain, strings.Join(p.flags, " "))
	for _, name := range p.sources {
		content, err := os.ReadFile(filepath.Join(b.root, name))
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%s %d\n", name, len(content))
		_, _ = h.Write(content)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fresh tells whether the binary of p exists and was built from what stamp identifies.
func (b *builder) fresh(p part, stamp string) bool {
	if _, err := os.Stat(b.path(p)); err != nil || stamp == "" {
		return false
	}
	kept, err := os.ReadFile(b.stampPath(p))
	return err == nil && string(kept) == stamp
}

func (b *builder) keepStamp(p part, stamp string) error {
	if stamp == "" {
		return nil
	}
	return os.WriteFile(b.stampPath(p), []byte(stamp), 0o644)
}

func (b *builder) stampPath(p part) string { return filepath.Join(b.bin, "."+p.name+".stamp") }
