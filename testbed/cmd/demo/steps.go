package main

import (
	"context"
	"fmt"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

const (
	mount = testbed.CatalogName
	role  = mount + "/role/web-servers"
)

// roleFile is the role of the first example in the documentation.
const roleFile = `{
  "acme_account_name": "pebble",
  "allowed_domains": "example.com,www.example.com,api.example.com",
  "allowed_domain_options": "bare_domains"
}
`

type step struct {
	title string
	run   func(context.Context) error
}

func (d *demo) steps() []step {
	return []step{
		{"Register the plugin and enable it", d.enable},
		{"Make an account at the CA", d.account},
		{"Say who may have which certificate", d.role},
		{"Identifier workflow: Vault makes the key", d.identifiers},
		{"Anyone with the role fetches the same certificate again", d.cached},
		{"CSR workflow: the key never leaves its owner", d.csr},
		{"Revoke", d.revoke},
		{"DNS-01: a wildcard certificate with nobody's help", d.wildcard},
		{"One call, for any number of callers; and a renewal", d.oneCall},
	}
}

func (d *demo) enable(ctx context.Context) error {
	sum, err := d.bed.Vault.InstallPlugin(d.bed.Binaries.Plugin)
	if err != nil {
		return err
	}
	d.say("The binary %s is in Vault's plugin directory; this is its SHA-256.", testbed.PluginName)
	if _, err := d.vault(ctx, testbed.RegisterArgs(sum)...); err != nil {
		return err
	}
	_, err = d.vault(ctx, "secrets", "enable", mount)
	return err
}

func (d *demo) account(ctx context.Context) error {
	if err := d.write("pebble-ca.pem", d.bed.Pebble.TrustedCA); err != nil {
		return err
	}
	_, err := d.vault(ctx, "write", mount+"/config/acme-account/pebble",
		"directory_url="+d.bed.Pebble.DirectoryURL, "email_contacts=admin@example.com,security@example.com",
		"key_type=ec-256", "trusted_ca=@pebble-ca.pem")
	return err
}

func (d *demo) role(ctx context.Context) error {
	if err := d.write("role.json", roleFile); err != nil {
		return err
	}
	_, err := d.vault(ctx, "write", role, "@role.json")
	return err
}

func (d *demo) identifiers(ctx context.Context) (err error) {
	d.keyed, err = d.issue(ctx, "www.json", "identifiers=www.example.com,api.example.com")
	if err != nil {
		return err
	}
	if err := d.keyed.keyMatches(); err != nil {
		return err
	}
	d.say("  key         %s, made by Vault; it belongs to the certificate", d.keyed.PrivateKeyType)
	return nil
}

func (d *demo) cached(ctx context.Context) error {
	text, err := d.vaultInto(ctx, "again.json", "read", "-format=json", role+"/cached",
		"identifiers=www.example.com,api.example.com", "min_validity_percentage=50")
	if err != nil {
		return err
	}
	again, err := parseIssued(text)
	if err != nil {
		return err
	}
	if again.SerialNumber != d.keyed.SerialNumber || again.PrivateKey != d.keyed.PrivateKey {
		return fmt.Errorf("cached answered serial %s, the order has %s", again.SerialNumber, d.keyed.SerialNumber)
	}
	d.say("\n  serial      %s, the same certificate with the same key", again.SerialNumber)
	return nil
}

func (d *demo) csr(ctx context.Context) (err error) {
	request, err := newCSR("example.com")
	if err != nil {
		return err
	}
	if err := d.write("web.csr", request); err != nil {
		return err
	}
	d.ours, err = d.issue(ctx, "web.json", "csr=@web.csr")
	if err == nil && d.ours.PrivateKey != "" {
		err = fmt.Errorf("the answer holds a private key, which is not Vault's to know")
	}
	return err
}

func (d *demo) revoke(ctx context.Context) error {
	if _, err := d.vault(ctx, "write", d.ours.path+"/revoke", "reason=superseded"); err != nil {
		return err
	}
	status, err := d.bed.Pebble.CertificateStatus(ctx, d.ours.SerialNumber)
	if err != nil {
		return err
	}
	d.say("\nThe CA's own record of %s: %s, reason %d (superseded is 4).", d.ours.SerialNumber, status.Status, status.Reason)
	if status.Status != "Revoked" || status.Reason != 4 {
		return fmt.Errorf("the CA does not say revoked with reason 4")
	}
	_, err = d.vault(ctx, "read", mount+"/lookup/cert/"+d.ours.SerialNumber)
	return err
}
