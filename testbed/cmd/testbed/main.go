// Command testbed prepares what the demo, the acceptance tests and the benchmarks run.
//
//	go run ./cmd/testbed build
//
// builds Vault, Pebble, its DNS server and the plugin into .testbed/bin, as far as they are missing or out
// of date, and prints where each one is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] != "build" {
		fmt.Fprintln(os.Stderr, "usage: go run ./cmd/testbed build")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := build(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context) error {
	binaries, err := testbed.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	for _, path := range []string{binaries.Vault, binaries.Pebble, binaries.Challtestsrv, binaries.Plugin} {
		fmt.Println(path)
	}
	return nil
}
