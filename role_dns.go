package pkiexternalca

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// validatePin checks that the DNS provider a role is bound to exists.
func validatePin(ctx context.Context, s logical.Storage, r *role) error {
	if r.DNSProviderName == "" && r.DNSProviderType == "" {
		return nil
	}
	if r.DNSProviderName == "" || r.DNSProviderType == "" {
		return badRequest("dns_provider_type and dns_provider_name belong together; send both or none")
	}
	kind := dnsprovider.Find(r.DNSProviderType)
	if kind == nil {
		return badRequest("dns_provider_type %.64q is not one of %v", r.DNSProviderType, dnsTypeNames())
	}
	e, err := kind.Get(ctx, s, r.DNSProviderName)
	if errors.Is(err, store.ErrNotFound) || err == nil && e.Common().Deleted {
		return badRequest("dns_provider_name: there is no DNS provider %q; create it first at config/dns/%s", r.dnsProvider(), r.dnsProvider())
	}
	return err
}

// dnsProvider names the provider that the role is bound to, "" if none.
func (r *role) dnsProvider() string {
	if r.DNSProviderName == "" {
		return ""
	}
	return r.DNSProviderType + "/" + r.DNSProviderName
}
