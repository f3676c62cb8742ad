package testbed

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Bed is everything that one certificate takes: a Vault with the plugin enabled at its default path, an ACME
// CA, the DNS server that the CA asks, and the web server that it validates against.
type Bed struct {
	Binaries Binaries
	Dir      string // what the servers write
	Vault    *Vault
	Pebble   *Pebble
	DNS      *Challtestsrv
	Web      *WebServer

	// BIND serves the zones that the bed was made for, and takes updates; nil if there are none.
	BIND *BIND
	// Resolver is what the CA asks then: it knows of BIND, and asks DNS for all other names.
	Resolver *Resolver

	zones []string
}

// NewBed builds what is missing and starts a Vault and a CA below dir. The plugin is left to the caller; see
// [Vault.EnablePlugin]. With zones it starts a BIND for them, too, which has to be installed (see [FindBIND]).
// Progress goes to w. Everything ends with ctx, or with Stop.
func NewBed(ctx context.Context, dir string, w io.Writer, zones ...string) (*Bed, error) {
	binaries, err := Build(ctx, w)
	if err != nil {
		return nil, err
	}
	b := &Bed{Binaries: binaries, Dir: dir, zones: zones}
	for _, start := range []func(context.Context) error{b.startVault, b.startCA} {
		if err := start(ctx); err != nil {
			b.Stop()
			return nil, err
		}
	}
	_, _ = fmt.Fprintf(w, "Vault is at %s, Pebble at %s\n", b.Vault.Addr, b.Pebble.DirectoryURL)
	return b, nil
}

// Stop ends every server.
func (b *Bed) Stop() {
	if b.Vault != nil {
		b.Vault.Stop()
	}
	if b.Web != nil {
		b.Web.Stop()
	}
	if b.Pebble != nil {
		b.Pebble.Stop()
	}
	if b.Resolver != nil {
		b.Resolver.Stop()
	}
	if b.BIND != nil {
		b.BIND.Stop()
	}
	if b.DNS != nil {
		b.DNS.Stop()
	}
}

func (b *Bed) startVault(ctx context.Context) error {
	dir, err := b.subdir("vault")
	if err != nil {
		return err
	}
	work, err := b.subdir("work")
	if err != nil {
		return err
	}
	b.Vault, err = StartVault(ctx, VaultOptions{Binary: b.Binaries.Vault, Dir: dir})
	if err == nil {
		b.Vault.WorkDir = work
	}
	return err
}

// startCA starts the CA, and before it the DNS that it asks.
func (b *Bed) startCA(ctx context.Context) (err error) {
	dir, err := b.subdir("ca")
	if err != nil {
		return err
	}
	if b.DNS, err = StartChalltestsrv(ctx, ChalltestsrvOptions{Binary: b.Binaries.Challtestsrv, Dir: dir}); err != nil {
		return err
	}
	resolver := b.DNS.Resolver
	if len(b.zones) > 0 {
		if err := b.startBIND(ctx); err != nil {
			return err
		}
		resolver = b.Resolver.Addr
	}
	b.Pebble, err = StartPebble(ctx, PebbleOptions{Binary: b.Binaries.Pebble, Dir: dir, Resolver: resolver})
	if err != nil {
		return err
	}
	b.Web, err = StartWebServer(ctx, b.Pebble.HTTPPort, filepath.Join(b.Dir, "www"))
	return err
}

// startBIND starts the name server of the zones, and a resolver that knows of it.
func (b *Bed) startBIND(ctx context.Context) (err error) {
	dir, err := b.subdir("bind")
	if err != nil {
		return err
	}
	if b.BIND, err = StartBIND(ctx, BINDOptions{Dir: dir, Zones: b.zones}); err != nil {
		return err
	}
	if dir, err = b.subdir("resolver"); err != nil {
		return err
	}
	o := ResolverOptions{Dir: dir, Forward: map[string]string{}, Others: b.DNS.Resolver}
	for _, zone := range b.zones {
		o.Forward[zone] = b.BIND.Addr
	}
	b.Resolver, err = StartResolver(ctx, o)
	return err
}

func (b *Bed) subdir(name string) (string, error) {
	dir := filepath.Join(b.Dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}
