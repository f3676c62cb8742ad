package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// demo is the person at the terminal.
type demo struct {
	bed *testbed.Bed
	out io.Writer

	keyed issued // from the identifier workflow
	ours  issued // from the CSR workflow
}

func (d *demo) heading(title string) { d.say("\n--- %s ---", title) }

func (d *demo) say(format string, values ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", values...) }

// vault types a command, shows what it printed, and returns that. A command that fails ends the demo.
func (d *demo) vault(ctx context.Context, args ...string) (string, error) {
	d.say("\n$ %s", commandLine(args))
	out, err := d.bed.Vault.Run(ctx, args...)
	if err != nil {
		return "", err
	}
	d.say("%s", strings.TrimRight(out, "\n"))
	return out, nil
}

// vaultInto types a command whose output goes into a file, which keeps private keys off the screen.
func (d *demo) vaultInto(ctx context.Context, file string, args ...string) (string, error) {
	d.say("\n$ %s > %s", commandLine(args), file)
	out, err := d.bed.Vault.Run(ctx, args...)
	if err != nil {
		return "", err
	}
	return out, os.WriteFile(d.file(file), []byte(out), 0o600)
}

// write makes a file in the working directory and shows it.
func (d *demo) write(name, content string) error {
	d.say("\n$ cat %s\n%s", name, strings.TrimRight(content, "\n"))
	return os.WriteFile(d.file(name), []byte(content), 0o600)
}

func (d *demo) file(name string) string { return filepath.Join(d.bed.Vault.WorkDir, name) }

// commandLine is the command as one would type it into a shell.
func commandLine(args []string) string {
	words := []string{"vault"}
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// value is a row of the table that vault prints: the name, two or more spaces, the value.
func value(table, name string) (string, error) {
	row := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `  +(.*)$`).FindStringSubmatch(table)
	if row == nil {
		return "", fmt.Errorf("the answer has no %s", name)
	}
	return strings.TrimSpace(row[1]), nil
}
