package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// shellBlocks are the commands of a document, block by block.
func shellBlocks(t *testing.T, document string) (blocks []string) {
	t.Helper()
	for _, m := range shellBlock.FindAllStringSubmatch(readFile(t, "docs", document), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// readFile reads a file of the repository.
func readFile(t *testing.T, path ...string) string {
	t.Helper()
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shell runs commands as somebody would who has a terminal, the root token, and the policies of the documents in
// the working directory.
func (s site) shell(t *testing.T, commands string, env ...string) string {
	t.Helper()
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-u", "-c", commands)
	cmd.Dir = filepath.Join(root, "docs", "policies")
	cmd.Env = append([]string{
		"PATH=" + s.commandPath(t), "HOME=" + t.TempDir(), "VAULT_ADDR=" + s.Vault.Addr, "VAULT_TOKEN=" + s.Vault.Token,
	}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v: %s", commands, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commandPath is a PATH on which "vault" is the one that is tested with.
func (s site) commandPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(s.Binaries.Vault, filepath.Join(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	return dir + ":/usr/sbin:/usr/bin:/sbin:/bin"
}
