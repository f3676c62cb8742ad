package testbed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// InstallPlugin copies the plugin's binary into the server's plugin directory and returns its SHA-256 in
// hex. A copy, because a later build would change the original under the running server.
func (v *Vault) InstallPlugin(binary string) (sum string, err error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(v.PluginDir(), PluginName), content, 0o700); err != nil {
		return "", err
	}
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:]), nil
}

// RegisterArgs are the arguments of the vault command that registers the plugin, to be run with variables
// ("NAME=value") in its environment.
func RegisterArgs(sum string, env ...string) []string {
	args := []string{"plugin", "register", "-sha256=" + sum, "-version=" + pluginVersion, "-command=" + PluginName}
	for _, variable := range env {
		args = append(args, "-env="+variable)
	}
	return append(args, "secret", CatalogName)
}

// EnablePlugin installs the plugin, registers it with variables ("NAME=value") in its environment, and
// enables it at its default path.
func (v *Vault) EnablePlugin(ctx context.Context, binary string, env ...string) error {
	sum, err := v.InstallPlugin(binary)
	if err != nil {
		return fmt.Errorf("install the plugin: %w", err)
	}
	if _, err := v.Run(ctx, RegisterArgs(sum, env...)...); err != nil {
		return err
	}
	_, err = v.Run(ctx, "secrets", "enable", CatalogName)
	return err
}

// PluginPIDs are the processes that run the plugin for this server: its children by that name. It reads
// /proc, so it finds none where that does not exist.
func (v *Vault) PluginPIDs() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	var pids []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && parent(dir) == v.PID() && runs(dir, PluginName) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// Races are the data races that were seen in the plugin, if it was built to look for them (see [Build]).
func (v *Vault) Races() ([]string, error) {
	files, _ := filepath.Glob(v.racePath() + ".*") // the pattern is well-formed
	var reports []string
	for _, file := range files {
		report, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		reports = append(reports, string(report))
	}
	return reports, nil
}

// parent is the parent's process id, the fourth field of stat; the second is the program's name in
// brackets, which may itself hold spaces and brackets.
func parent(dir string) int {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0 // ended meanwhile
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

func runs(dir, program string) bool {
	cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	first, _, _ := bytes.Cut(cmdline, []byte{0})
	return filepath.Base(string(first)) == program
}
