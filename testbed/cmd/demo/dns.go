package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

const (
	zone      = "example.org" // at BIND, where the CA's resolver asks for it
	wildcards = mount + "/role/wildcards"
	proof     = "_acme-challenge." + zone
)

// wildcard lets Vault prove a zone by itself, which is the only way to a wildcard certificate.
func (d *demo) wildcard(ctx context.Context) error {
	if d.bed.BIND == nil {
		d.say("Left out: %v", testbed.FindBIND())
		return nil
	}
	if err := d.provider(ctx); err != nil {
		return err
	}
	_, err := d.vault(ctx, "write", wildcards, "acme_account_name=pebble",
		"allowed_domains="+zone+",*."+zone, "allowed_domain_options=bare_domains,wildcards")
	if err != nil {
		return err
	}
	order, err := d.order(ctx, wildcards, "identifiers=*."+zone+","+zone)
	if err != nil {
		return err
	}
	if _, err := d.collect(ctx, order, "wildcard.json"); err != nil {
		return err
	}
	return d.nothingLeft(ctx)
}

// provider gives Vault the key of a BIND that serves the zone, and tries it out.
func (d *demo) provider(ctx context.Context) error {
	key := d.bed.BIND.Keys["hmac-sha256"]
	d.say("A BIND serves %s and takes updates that are signed with the key in tsig.secret.", zone)
	if err := os.WriteFile(d.file("tsig.secret"), []byte(key.Secret), 0o600); err != nil {
		return err
	}
	for _, command := range [][]string{
		{"write", mount + "/config", "propagation_check=recursive", "nameservers=" + d.bed.Resolver.Addr, "propagation_interval=1s"},
		{
			"write", mount + "/config/dns/rfc2136/bind", "identifiers=" + zone + ",*." + zone, "nameserver=" + d.bed.BIND.Addr,
			"tsig_key_name=" + key.Name, "tsig_secret=@tsig.secret",
		},
		{"write", mount + "/dns/test/workflow", "identifier=" + zone, "provider_type=rfc2136", "provider_name=bind"},
	} {
		if _, err := d.vault(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// nothingLeft shows what BIND was asked for, and that no TXT record is left.
func (d *demo) nothingLeft(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := testbed.Until(ctx, func(ctx context.Context) error {
		left, err := d.bed.BIND.TXT(ctx, proof)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("at %s the TXT records %q are left", proof, left)
		}
		return err
	})
	if err != nil {
		return err
	}
	log, err := os.ReadFile(d.bed.BIND.LogPath())
	if err != nil {
		return err
	}
	d.say("\nWhat BIND says of it; no TXT record is left at %s:", proof)
	for line := range strings.Lines(string(log)) {
		if _, update, found := strings.Cut(line, ": updating zone "); found {
			d.say("  %s", strings.TrimSpace(update))
		}
	}
	return nil
}
