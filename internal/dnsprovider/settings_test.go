package dnsprovider_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

// with is settings that are complete but for some changes.
func with(raw map[string]any, changes ...string) map[string]any {
	out := map[string]any{}
	for name, v := range raw {
		out[name] = v
	}
	for i := 0; i < len(changes); i += 2 {
		out[changes[i]] = changes[i+1]
	}
	return out
}

// badSettings are refused with a sentence that begins with the name of a field.
type badSettings struct {
	kind string
	raw  map[string]any
	says string
}

func expectRefusals(t *testing.T, tests []badSettings) {
	t.Helper()
	for _, test := range tests {
		_, err := create(test.kind, test.raw)
		if err == nil || !strings.HasPrefix(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", test.kind, err, test.says)
		}
		for _, s := range []string{awsSecret, azureSecret, madeEasySecret, acmeDNSPassword, webhookPassword} {
			if strings.Contains(fmt.Sprint(err), s) {
				t.Errorf("%s: the error shows a credential: %v", test.kind, err)
			}
		}
	}
}

func TestCloudSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	google := map[string]any{"credentials": keyFile()}
	expectRefusals(t, []badSettings{
		{"aws-route53", map[string]any{"access_key_id": awsKey}, "access_key_id and secret_access_key belong together"},
		{"aws-route53", map[string]any{"secret_access_key": awsSecret}, "access_key_id and secret_access_key belong together"},
		{"aws-route53", awsKeys("access_key_id", "short"), `access_key_id "short" is not`},
		{"aws-route53", awsKeys("secret_access_key", "copied\nbadly"), "secret_access_key holds a space, a line break"},
		{"aws-route53", awsKeys("region", "evil.example.com/#"), "region"},
		{"aws-route53", awsKeys("region", "US East"), "region"},
		{"aws-route53", awsKeys("hosted_zone_id", "../../2013-04-01"), "hosted_zone_id"},
		{"aws-route53", awsKeys("assume_role_arn", "acme-dns"), "assume_role_arn"},
		{"aws-route53", awsKeys("assume_role_arn", "arn:aws:iam::123456789012:user/somebody"), "assume_role_arn"},
		{"aws-route53", awsKeys("external_id", "tenant"), "external_id is for the role in assume_role_arn"},
		{"aws-route53", awsKeys("assume_role_arn", "arn:aws:iam::123456789012:role/r", "external_id", "a b"), "external_id"},
		{"azure-dns", map[string]any{"resource_group_name": azureGroup}, "subscription_id is required"},
		{"azure-dns", map[string]any{"subscription_id": azureSub}, "resource_group_name is required"},
		{"azure-dns", azureLogins("client_id", ""), "client_secret needs client_id and tenant_id"},
		{"azure-dns", azureLogins("tenant_id", ""), "client_secret needs client_id and tenant_id"},
		{"azure-dns", azureLogins("tenant_id", "../other"), "tenant_id"},
		{"azure-dns", azureLogins("client_id", "my-app"), "client_id"},
		{"azure-dns", azureLogins("subscription_id", "Pay-As-You-Go"), "subscription_id"},
		{"azure-dns", azureLogins("resource_group_name", "a/b"), "resource_group_name"},
		{"azure-dns", azureLogins("resource_group_name", ".."), "resource_group_name"},
		{"azure-dns", azureLogins("zone_name", "not a zone"), "zone_name"},
		{"azure-dns", azureLogins("environment", "AzureGermany"), `environment "AzureGermany" is not one of AzureChina, AzureGovernment, AzurePublic`},
		{"google-cloud-dns", with(google, "credentials", "/etc/key.json"), "credentials is not the JSON of a service account's key"},
		{"google-cloud-dns", with(google, "credentials", keyFile("type", "external_account")), `credentials must be the key of a service account; the type "external_account" is not accepted`},
		{"google-cloud-dns", with(google, "credentials", keyFile("type", "authorized_user")), "credentials must be the key of a service account"},
		{"google-cloud-dns", with(google, "credentials", keyFile("client_email", "")), "credentials must be the whole key"},
		{"google-cloud-dns", with(google, "credentials", keyFile("private_key", "gone")), "credentials has a private_key that is not PEM"},
		{"google-cloud-dns", with(google, "credentials", keyFile("private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")), "credentials has a private_key that is not an RSA key"},
		{"google-cloud-dns", with(google, "credentials", keyFile("token_uri", "https://evil.example.com/token")), "credentials has the token_uri"},
		{"google-cloud-dns", with(google, "project", "a/b"), "project"},
		{"google-cloud-dns", with(google, "zone_name", "example.com."), `zone_name "example.com." is not the name of a managed zone`},
		{"google-cloud-dns", with(google, "impersonate_service_account", "dns"), "impersonate_service_account"},
	})
}

func TestOtherSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	cloudflareAPI := map[string]any{"api_token": cloudflareToken}
	dnsimpleAPI := map[string]any{"access_token": dnsimpleToken}
	expectRefusals(t, []badSettings{
		{"cloudflare", nil, "api_token is required"},
		{"cloudflare", with(cloudflareAPI, "api_token", "Bearer x"), "api_token holds a space"},
		{"cloudflare", with(cloudflareAPI, "zone_id", "example.com"), "zone_id"},
		{"dnsimple", nil, "access_token is required"},
		{"dnsimple", with(dnsimpleAPI, "account_id", "1/zones"), "account_id"},
		{"dnsmadeeasy", with(madeEasyKeys(), "api_secret", ""), "api_key and api_secret are required"},
		{"dnsmadeeasy", with(madeEasyKeys(), "api_key", "x\r\ny"), "api_key holds a space"},
		{"acme-dns", with(acmeDNSAccount(), "full_domain", ""), "full_domain is required"},
		{"acme-dns", with(acmeDNSAccount(), "password", ""), "password is required"},
		{"acme-dns", with(acmeDNSAccount(), "base_url", "http://auth.example.org"), "base_url must be an https URL"},
		{"acme-dns", with(acmeDNSAccount(), "full_domain", "not a name"), "full_domain"},
		{"webhook", nil, "endpoint is required"},
		{"webhook", with(webhookLogin(), "endpoint", "http://hook.example.org"), "endpoint must be an https URL"},
		{"webhook", with(webhookLogin(), "endpoint", "https://vault:pw@hook.example.org"), "endpoint must not hold a user"},
		{"webhook", with(webhookLogin(), "password", ""), "username and password belong together"},
		{"webhook", with(webhookLogin(), "username", "a:b"), "username must not hold a colon"},
	})
}

// TestUpdatesKeepCredentials that they do not send.
func TestUpdatesKeepCredentials(t *testing.T) {
	t.Parallel()
	s := serveCloudflare(t, "example.com")
	e, err := create("cloudflare", map[string]any{"api_token": cloudflareToken})
	if err != nil {
		t.Fatal(err)
	}
	kind := dnsprovider.Find("cloudflare")
	e, err = kind.Update(e, &framework.FieldData{Raw: map[string]any{"ttl": "5m"}, Schema: kind.Schema(nil)}, time.Unix(1, 0))
	if err != nil || e.Show()["ttl"] != int64(300) {
		t.Fatalf("got %v, %v", e.Show(), err)
	}
	p, err := e.Open(s.options())
	if err == nil {
		err = p.Add(t.Context(), proof("_acme-challenge.example.com"))
	}
	if err != nil {
		t.Errorf("after an update without api_token: %v", err)
	}
}

// TestSettingsHideCredentials: of everything that is sent, all is shown but
// what is secret.
func TestSettingsHideCredentials(t *testing.T) {
	t.Parallel()
	hidden := map[string]bool{
		"secret_access_key": true, "client_secret": true, "credentials": true, "api_token": true,
		"access_token": true, "api_secret": true, "password": true,
	}
	for kind, raw := range map[string]map[string]any{
		"aws-route53":      awsKeys("region", "eu-central-1", "hosted_zone_id", "Z1", "assume_role_arn", "arn:aws:iam::123456789012:role/r", "external_id", "e-1"),
		"azure-dns":        azureLogins("zone_name", "example.com", "environment", "AzureChina"),
		"google-cloud-dns": {"credentials": keyFile(), "project": "p-1", "zone_name": "z-1", "impersonate_service_account": googleOther},
		"cloudflare":       {"api_token": cloudflareToken, "zone_id": cloudflareID("example.com")},
		"dnsimple":         {"access_token": dnsimpleToken, "account_id": "1010"},
		"dnsmadeeasy":      madeEasyKeys(),
		"acme-dns":         acmeDNSAccount(),
		"webhook":          webhookLogin(),
	} {
		e, err := create(kind, raw)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		shown := e.Show()
		for name, sent := range raw {
			got, ok := shown[name]
			if ok == hidden[name] {
				t.Errorf("%s: %s is shown: %t", kind, name, ok)
			}
			if ok && strings.TrimSuffix(fmt.Sprint(sent), "/") != got {
				t.Errorf("%s: %s is shown as %v", kind, name, got)
			}
		}
		for _, format := range []string{"%v", "%+v", "%#v"} {
			if printed := fmt.Sprintf(format, e); strings.Contains(printed, awsSecret) || strings.Contains(printed, webhookPassword) || strings.Contains(printed, "PRIVATE KEY") {
				t.Errorf("%s: printed with %s it shows a credential", kind, format)
			}
		}
	}
}

// TestDefaultTTLs are as published, in seconds.
func TestDefaultTTLs(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int64{"aws-route53": 60, "azure-dns": 60, "google-cloud-dns": 10} {
		raw := map[string]any{}
		if kind == "azure-dns" {
			raw = azureLogins()
		}
		e, err := create(kind, raw)
		if err != nil || e.Show()["ttl"] != want {
			t.Errorf("%s: %v, %v", kind, e, err)
		}
	}
}
