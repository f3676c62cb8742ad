package dnsprovider_test

import (
	"os"
	"path/filepath"
	"testing"
)

// hostile is what a process may find in its environment. Each would lead
// requests or credentials somewhere else, or bring credentials of the machine's
// owner, if anybody obeyed it.
var hostile = map[string]string{
	"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENTEXAMPLE", "AWS_SECRET_ACCESS_KEY": "from-the-environment", "AWS_SESSION_TOKEN": "session",
	"AWS_REGION": "cn-north-1", "AWS_DEFAULT_REGION": "cn-north-1", "AWS_PROFILE": "other", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
	"AWS_ENDPOINT_URL": "https://evil.example.net", "AWS_ENDPOINT_URL_ROUTE_53": "https://evil.example.net", "AWS_ENDPOINT_URL_STS": "https://evil.example.net",
	"AWS_EC2_METADATA_DISABLED": "true", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://evil.example.net",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.example.net/", "AWS_USE_FIPS_ENDPOINT": "true",
	"AZURE_CLIENT_ID": "environment", "AZURE_CLIENT_SECRET": "environment", "AZURE_TENANT_ID": "environment",
	"AZURE_AUTHORITY_HOST": "https://evil.example.net/", "AZURE_REGIONAL_AUTHORITY_NAME": "evil",
	"IDENTITY_ENDPOINT": "http://evil.example.net/", "IDENTITY_HEADER": "x", "MSI_ENDPOINT": "http://evil.example.net/", "MSI_SECRET": "x",
	"GOOGLE_CLOUD_PROJECT": "environment", "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "evil.example.net", "GCE_METADATA_HOST": "evil.example.net",
	"GOOGLE_API_USE_MTLS_ENDPOINT": "always", "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true", "GOOGLE_CLOUD_QUOTA_PROJECT": "environment",
}

// TestEnvironmentIsNotObeyed runs the three libraries that know about
// environments, with and without credentials of their own. The fakes fail the
// test when they are asked for another host.
func TestEnvironmentIsNotObeyed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	for name, content := range map[string]string{
		"AWS_SHARED_CREDENTIALS_FILE":    "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = file\n",
		"AWS_CONFIG_FILE":                "[default]\nregion = cn-north-1\nendpoint_url = https://evil.example.net\n",
		"AWS_WEB_IDENTITY_TOKEN_FILE":    "token",
		"GOOGLE_APPLICATION_CREDENTIALS": `{"type":"authorized_user"}`,
		"AZURE_FEDERATED_TOKEN_FILE":     "token",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, path)
	}
	for name, v := range hostile {
		t.Setenv(name, v)
	}
	r := proof("_acme-challenge.example.com")

	for _, kind := range sets {
		s := services[kind](t, "example.com")
		if err := s.open(t, kind, s.raw).Add(t.Context(), r); err != nil {
			t.Errorf("%s with credentials: %v", kind, err)
		}
		expectTXT(t, s.zones, r.Name, r.Value)
	}

	aws := serveAWS(t, "example.com")
	aws.signer = awsSession
	azure := serveAzure(t, "example.com")
	google := serveGoogle(t, "example.com")
	for kind, s := range map[string]service{
		"aws-route53":      {cloud: aws.cloud, zones: aws.txtZones},
		"azure-dns":        {cloud: azure.cloud, zones: azure.txtZones, raw: map[string]any{"subscription_id": azureSub, "resource_group_name": azureGroup}},
		"google-cloud-dns": {cloud: google.cloud, zones: google.txtZones},
	} {
		if err := s.open(t, kind, s.raw).Add(t.Context(), r); err != nil {
			t.Errorf("%s on a virtual machine: %v", kind, err)
		}
		expectTXT(t, s.zones, r.Name, r.Value)
	}
}
