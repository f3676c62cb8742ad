package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// oldestVault is the first version whose server and command line have all that is used here, as minor
// version of Vault 1. Version 2 and up have it too.
const oldestVault = 16

// vault returns the path of the Vault to use: the one named by TESTBED_VAULT, else one on the PATH that is
// recent enough, else one built here.
func (b *builder) vault(ctx context.Context) (string, error) {
	if named := os.Getenv("TESTBED_VAULT"); named != "" {
		version, err := vaultVersion(ctx, named)
		if err != nil {
			return "", fmt.Errorf("TESTBED_VAULT=%s: %w", named, err)
		}
		_, _ = fmt.Fprintf(b.out, "using %s (%s), as TESTBED_VAULT says\n", named, version)
		return named, nil
	}
	if found, err := exec.LookPath("vault"); err == nil {
		version, err := vaultVersion(ctx, found)
		if err == nil && recentEnough(version) {
			_, _ = fmt.Fprintf(b.out, "using the installed %s (%s)\n", found, version)
			return found, nil
		}
		_, _ = fmt.Fprintf(b.out, "not using the installed %s (%s): 1.%d or newer is needed\n", found, version, oldestVault)
	}
	return b.path(vaultPart), b.make(ctx, vaultPart)
}

var versionLine = regexp.MustCompile(`^Vault v(\d+)\.(\d+)\.\d+[\w.+-]*`)

// vaultVersion asks a vault binary for its version, as in "Vault v1.21.2".
func vaultVersion(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("ask for its version: %w", err)
	}
	version := versionLine.FindString(string(out))
	if version == "" {
		return "", fmt.Errorf("answers %.60q when asked for its version, not \"Vault v1.2.3\"", out)
	}
	return version, nil
}

func recentEnough(version string) bool {
	m := versionLine.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1]) // digits, by the expression
	minor, _ := strconv.Atoi(m[2])
	return major > 1 || minor >= oldestVault
}
