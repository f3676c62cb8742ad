// Package testbed starts the real parts that the plugin works with: a Vault server with the plugin in it,
// the ACME CA Pebble, the DNS server that Pebble asks, and a web server that answers http-01. The demo, the
// development server, the acceptance tests and the benchmarks are all built on it.
//
// # What it is for
//
// Nothing here imitates. Vault is a process of its own with a configuration file, storage on disk, and an
// unseal key; it is driven through its own command line and its HTTP interface. Pebble is a process of its
// own with a TLS certificate that was made for it. What passes here passes on a machine where somebody
// typed the same commands.
//
// # Rules
//
// Every server listens on 127.0.0.1, on ports that were free when it was started. Every process leads a
// process group of its own and ends with the context it was started under; should this program itself be
// killed, a guard beside each process ends the group (see [Process]). Everything a server writes goes below
// the directory its caller named, so that removing that directory removes every trace.
//
// Binaries are built once into .testbed/bin at the root of the repository (see [Build]).
package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// PluginName is the name of the plugin's binary. CatalogName is the name it is registered under and, with a
// slash, the default mount path.
const (
	PluginName  = "vault-plugin-secrets-pki-external-ca"
	CatalogName = "pki-external-ca"
)

// Root returns the root of the repository: the nearest folder, from the working directory upwards, that
// holds testbed/go.mod.
func Root() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "testbed", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no testbed/go.mod in %s or above: run this from inside the repository", wd)
		}
	}
}

// pollInterval is how often a server or an order is asked again: often enough to feel immediate, seldom
// enough to leave two cores to the servers.
const pollInterval = 100 * time.Millisecond

// Until calls ask again and again until it returns nil, or until ctx ends. The error then joins why ctx
// ended with what ask said last, so a test that gives up shows what it was waiting for.
func Until(ctx context.Context, ask func(context.Context) error) error {
	return UntilEvery(ctx, pollInterval, ask)
}

// UntilEvery is Until with another pause between two questions, for those that many ask at once.
func UntilEvery(ctx context.Context, pause time.Duration, ask func(context.Context) error) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		last := ask(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}
