package main

import (
	"context"
	"os"
	"path/filepath"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// authority is a CA with two clients, each behind a gateway of its own: the
// plugin, by an account and a role, and lego.
type authority struct {
	*bench
	name   string // of the account and the role
	pebble *testbed.Pebble
	plugin *testbed.Gateway
	lego   *legoClient
}

// newAuthority starts a CA that refuses no nonce at random, for that would be
// luck, not speed, and makes the account and the role that use it.
func (b *bench) newAuthority(ctx context.Context, name string, env ...string) (*authority, error) {
	a := &authority{bench: b, name: name}
	if err := a.start(ctx, env); err != nil {
		a.close()
		return nil, err
	}
	return a, a.configure(ctx)
}

func (a *authority) start(ctx context.Context, env []string) (err error) {
	dir := filepath.Join(a.dir, "ca-"+a.name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	a.pebble, err = testbed.StartPebble(ctx, testbed.PebbleOptions{
		Binary: a.bed.Binaries.Pebble, Dir: dir, Resolver: a.bed.DNS.Resolver,
		HTTPPort: a.bed.Pebble.HTTPPort, TLSPort: a.bed.Pebble.TLSPort,
		Env: append([]string{"PEBBLE_WFE_NONCEREJECT=0"}, env...),
	})
	if err != nil {
		return err
	}
	if a.plugin, err = testbed.StartGateway(a.pebble); err != nil {
		return err
	}
	a.lego, err = newLego(a.pebble, a.bed.Web)
	return err
}

// rolePath is the role that orders at this CA.
func (a *authority) rolePath() string { return mount + "/role/" + a.name }

func (a *authority) configure(ctx context.Context) error {
	logical := a.vault.Logical()
	if _, err := logical.WriteWithContext(ctx, mount+"/config/acme-account/"+a.name, map[string]any{
		"directory_url":  a.plugin.DirectoryURL,
		"trusted_ca":     a.plugin.TrustedCA,
		"email_contacts": []string{"admin@example.com"},
		"key_type":       "ec-256",
	}); err != nil {
		return err
	}
	_, err := logical.WriteWithContext(ctx, a.rolePath(), map[string]any{
		"acme_account_name":      a.name,
		"allowed_domains":        domain,
		"allowed_domain_options": "subdomains",
		"csr_generate_key_type":  "ec-256",
	})
	return err
}

func (a *authority) close() {
	if a.plugin != nil {
		a.plugin.Stop()
	}
	if a.lego != nil {
		a.lego.gateway.Stop()
	}
	if a.pebble != nil {
		a.pebble.Stop()
	}
}
