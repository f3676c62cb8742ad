package main

import (
	"context"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// mount is where the plugin is mounted.
const mount = testbed.CatalogName

// bench is what all sections share: a Vault with the plugin, and two CAs.
type bench struct {
	settings
	root  string // of the repository
	dir   string
	bed   *testbed.Bed
	vault *api.Client
	// validating looks at the challenges; believing takes them for fulfilled
	// as soon as it is told to look.
	validating, believing *authority
	started               int // issuances, which makes every name a new one
}

// plugged installs one of the builds of the plugin.
type plugged func(context.Context, *bench) error

// released is the plugin as everybody has it.
func released(ctx context.Context, b *bench) error {
	return b.bed.Vault.EnablePlugin(ctx, b.bed.Binaries.Plugin)
}

func newBench(ctx context.Context, s settings, plug plugged) (*bench, error) {
	root, err := testbed.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pki-external-ca-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, root: root, dir: dir}
	if err := b.start(ctx, plug); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) start(ctx context.Context, plug plugged) (err error) {
	if b.bed, err = testbed.NewBed(ctx, b.dir, os.Stderr); err != nil {
		return err
	}
	if err := plug(ctx, b); err != nil {
		return err
	}
	b.vault = b.bed.Vault.Client()
	if b.validating, err = b.newAuthority(ctx, "validating"); err != nil {
		return err
	}
	b.believing, err = b.newAuthority(ctx, "believing", "PEBBLE_VA_ALWAYS_VALID=1")
	return err
}

func (b *bench) close() {
	for _, a := range []*authority{b.validating, b.believing} {
		if a != nil {
			a.close()
		}
	}
	if b.bed != nil {
		b.bed.Stop()
	}
	_ = os.RemoveAll(b.dir)
}

// domain is what all names are below.
const domain = "example.com"

// names makes n names that were never asked for before, so that the CA has no
// authorization for them yet.
func (b *bench) names(n int) []string {
	b.started++
	out := make([]string, n)
	for i := range out {
		out[i] = strings.Join([]string{"n" + itoa(i), "r" + itoa(b.started), domain}, ".")
	}
	return out
}
