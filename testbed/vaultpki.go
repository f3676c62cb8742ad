package testbed

import (
	"context"
	"encoding/pem"
	"io"
	stdlog "log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
)

// pkiMount is where Vault's own PKI engine is enabled.
const pkiMount = "internal-ca"

// VaultPKI is Vault's own PKI engine as an ACME CA: another implementation than Pebble, without renewal
// information, profiles and alternate chains. ACME wants TLS, which the Vault here does not speak, so it stands
// behind a gateway.
type VaultPKI struct {
	DirectoryURL string
	TrustedCA    string // PEM; who trusts it can connect
	Root         string // PEM; the root of the certificates

	server *httptest.Server
}

// StartVaultPKI enables the PKI engine of a Vault, with a root of its own, and serves its ACME directory on a port
// of 127.0.0.1. It looks up dns-01 challenges at the resolver, given as host:port.
func StartVaultPKI(ctx context.Context, v *Vault, resolver string) (*VaultPKI, error) {
	target, err := url.Parse(v.Addr)
	if err != nil {
		return nil, err
	}
	quiet := stdlog.New(io.Discard, "", 0)
	p := &VaultPKI{server: httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: quiet,
	})}
	p.server.Config.ErrorLog = quiet
	p.server.StartTLS()
	p.TrustedCA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw}))
	p.DirectoryURL = p.server.URL + "/v1/" + pkiMount + "/acme/directory"
	if err := p.enable(ctx, v, resolver); err != nil {
		p.Stop()
		return nil, err
	}
	p.Root, err = v.Run(ctx, "read", "-field=certificate", pkiMount+"/cert/ca")
	return p, err
}

// enable does what Vault's documents say for an ACME server.
func (p *VaultPKI) enable(ctx context.Context, v *Vault, resolver string) error {
	for _, args := range [][]string{
		{
			"secrets", "enable", "-path=" + pkiMount, "-max-lease-ttl=8760h", "-passthrough-request-headers=If-Modified-Since",
			"-allowed-response-headers=Last-Modified", "-allowed-response-headers=Location",
			"-allowed-response-headers=Replay-Nonce", "-allowed-response-headers=Link", "pki",
		},
		{"write", pkiMount + "/root/generate/internal", "common_name=Internal Root", "ttl=8760h"},
		{"write", pkiMount + "/config/cluster", "path=" + p.server.URL + "/v1/" + pkiMount},
		{"write", pkiMount + "/config/acme", "enabled=true", "dns_resolver=" + resolver},
	} {
		if _, err := v.Run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the gateway. The engine ends with its Vault.
func (p *VaultPKI) Stop() {
	p.server.CloseClientConnections()
	p.server.Close()
}
