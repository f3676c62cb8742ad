// Command dev starts a Vault server with the plugin enabled, the ACME CA Pebble, its DNS server, a web server,
// and, where it is installed, BIND. It prints how to reach them, and leaves them running until Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/template"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "pki-external-ca-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var zones []string
	if testbed.FindBIND() == nil {
		zones = []string{"example.org"}
	}
	bed, err := testbed.NewBed(ctx, dir, os.Stdout, zones...)
	if err != nil {
		return err
	}
	defer bed.Stop()
	if err := bed.Vault.EnablePlugin(ctx, bed.Binaries.Plugin); err != nil {
		return err
	}
	if err := welcome(bed); err != nil {
		return err
	}
	<-ctx.Done()
	fmt.Println("\nstopping")
	return nil
}

// manual is printed when everything runs; its commands can be pasted one after the other.
var manual = template.Must(template.New("manual").Parse(`
Everything runs until Ctrl-C. In another terminal:

export VAULT_ADDR={{.Vault.Addr}} VAULT_TOKEN={{.Vault.Token}}
export PATH={{.BinDir}}:$PATH

vault write pki-external-ca/config/acme-account/pebble directory_url={{.Pebble.DirectoryURL}} email_contacts=admin@example.com trusted_ca=@{{.Dir}}/ca/pebble-ca.pem
vault write pki-external-ca/role/web acme_account_name=pebble allowed_domains=example.com allowed_domain_options=bare_domains,subdomains
ORDER=$(vault write -field=order_id pki-external-ca/role/web/new-order identifiers=www.example.com)
vault read pki-external-ca/role/web/order/$ORDER/status
vault read -field=challenge_auth pki-external-ca/role/web/order/$ORDER/challenge identifier=www.example.com challenge_type=http-01 \
  > {{.Web.Folder}}/.well-known/acme-challenge/$(vault read -field=challenge_token pki-external-ca/role/web/order/$ORDER/challenge identifier=www.example.com challenge_type=http-01)
vault write pki-external-ca/role/web/order/$ORDER/fulfilled-challenge identifier=www.example.com challenge_type=http-01
vault read pki-external-ca/role/web/order/$ORDER/fetch-cert
{{with .BIND}}
Vault proves names in example.org, which BIND serves, by itself:

vault write pki-external-ca/config propagation_check=recursive nameservers={{$.Resolver.Addr}} propagation_interval=1s
vault write pki-external-ca/config/dns/rfc2136/bind 'identifiers=example.org,*.example.org' nameserver={{.Addr}} \
  tsig_key_name={{$.Key.Name}} tsig_algorithm={{$.Key.Algorithm}} tsig_secret={{$.Key.Secret}}
vault write pki-external-ca/dns/test/workflow identifier=example.org provider_type=rfc2136 provider_name=bind
vault write pki-external-ca/role/wildcards acme_account_name=pebble 'allowed_domains=example.org,*.example.org' allowed_domain_options=bare_domains,wildcards
WILDCARD=$(vault write -field=order_id pki-external-ca/role/wildcards/new-order 'identifiers=*.example.org,example.org')
vault read pki-external-ca/role/wildcards/order/$WILDCARD/status
vault read pki-external-ca/role/wildcards/order/$WILDCARD/fetch-cert
{{else}}
To see Vault prove names by DNS itself: {{.Missing}}
{{end}}
ACME directory      {{.Pebble.DirectoryURL}}
its trusted_ca      {{.Dir}}/ca/pebble-ca.pem
http-01 answers     {{.Web.Folder}}/.well-known/acme-challenge/
DNS, for dns-01     {{.DNS.Resolver}}; curl -d '{"host":"_acme-challenge.www.example.com.","value":"..."}' {{.DNS.ManagementURL}}/set-txt
logs                {{.Dir}}/vault/vault.log, {{.Dir}}/ca/pebble.log{{with .BIND}}, {{.LogPath}}{{end}}
`))

func welcome(bed *testbed.Bed) error {
	facts := struct {
		*testbed.Bed
		BinDir  string
		Key     testbed.TSIGKey // of BIND, if there is one
		Missing error           // why there is none
	}{Bed: bed, BinDir: filepath.Dir(bed.Binaries.Vault), Missing: testbed.FindBIND()}
	if bed.BIND != nil {
		facts.Key = bed.BIND.Keys["hmac-sha256"]
	}
	return manual.Execute(os.Stdout, facts)
}
