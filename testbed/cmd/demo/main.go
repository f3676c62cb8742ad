// Command demo shows the whole job of the plugin on this machine, with real parts: a Vault server, the ACME
// CA Pebble, a web server that answers the CA's challenges, and BIND. It types the commands that an operator
// and an application would type, prints them as typed, and prints what they answer.
//
// It ends with exit status 0 only if every step did what it says, certificates verified against the CA's
// root included. Where BIND is not installed, the part about DNS says so instead. Nothing is left behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted; every server has been stopped")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run plays the demo in a temporary folder.
func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "pki-external-ca-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bed, err := testbed.NewBed(ctx, dir, os.Stdout, zones()...)
	if err != nil {
		return fmt.Errorf("the servers could not be started: %w", err)
	}
	defer bed.Stop()
	d := &demo{bed: bed, out: os.Stdout}
	for _, s := range d.steps() {
		d.heading(s.title)
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("failed at %q: %w", s.title, err)
		}
	}
	d.say("\nDone: every step did what it should. The servers are stopped and their files removed.")
	return nil
}

// zones are what BIND is to serve, if it is there.
func zones() []string {
	if testbed.FindBIND() != nil {
		return nil
	}
	return []string{zone}
}
