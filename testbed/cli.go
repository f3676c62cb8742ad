package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Output is what a command of the Vault command line printed, and how it ended.
type Output struct {
	Stdout string
	Stderr string
	Code   int // exit status: 0 success, 1 a mistake on the command line, 2 an error from the server
}

// CLI runs the vault command line against this server with the root token, in WorkDir, as somebody at a
// terminal would. The error is for a command that could not be run at
// all; that a command failed is in the Output.
func (v *Vault) CLI(ctx context.Context, args ...string) (Output, error) {
	return v.CLIAs(ctx, v.Token, args...)
}

// CLIAs is CLI with another token.
func (v *Vault) CLIAs(ctx context.Context, token string, args ...string) (Output, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, v.options.Binary, args...)
	cmd.Dir = v.WorkDir
	cmd.Env = append(cleanEnv(), "HOME="+v.home, "VAULT_ADDR="+v.Addr, "VAULT_TOKEN="+token, "VAULT_CLI_NO_COLOR=1")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) && failed.Exited() {
		err = nil
	}
	if err != nil {
		return Output{}, fmt.Errorf("run vault %s: %w", strings.Join(args, " "), err)
	}
	return Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}, nil
}

// Run is CLI for commands that must succeed: it returns their standard output.
func (v *Vault) Run(ctx context.Context, args ...string) (string, error) {
	out, err := v.CLI(ctx, args...)
	if err != nil {
		return "", err
	}
	if out.Code != 0 {
		return "", fmt.Errorf("vault %s: exit status %d: %s", strings.Join(args, " "), out.Code, strings.TrimSpace(out.Stderr))
	}
	return out.Stdout, nil
}
