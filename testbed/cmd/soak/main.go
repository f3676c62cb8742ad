// Command soak issues certificates for as long as it is told, while the plugin is killed and reloaded and Vault is
// restarted and sealed, and mounts come and go. At the end every order must have come to its certificate, and the
// plugin must hold no more than it held in the beginning.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

func main() {
	length := flag.Duration("for", time.Hour, "how long to issue certificates")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *length); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, length time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "pki-external-ca-soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bed, err := testbed.NewBed(ctx, dir, os.Stdout)
	if err != nil {
		return err
	}
	defer bed.Stop()
	s := soak{bed: bed, client: bed.Vault.Client()}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.run(ctx, length)
}
