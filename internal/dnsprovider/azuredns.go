package dnsprovider

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/dns/armdns"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// azureSettings is public zones of Azure DNS. Without a secret the managed
// identity of the virtual machine is used; environment variables and files of
// the process never are.
type azureSettings struct {
	ClientID       string      `json:"client_id,omitempty"`
	ClientSecret   secret.Text `json:"client_secret,omitempty"`
	TenantID       string      `json:"tenant_id,omitempty"`
	SubscriptionID string      `json:"subscription_id"`
	ResourceGroup  string      `json:"resource_group_name"`
	ZoneName       string      `json:"zone_name,omitempty"`
	Environment    string      `json:"environment,omitempty"`
}

var azureID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

var azureDNS = definition[azureSettings]{
	name:     "azure-dns",
	synopsis: "Configure Azure DNS provider for DNS-01 ACME challenges",
	ttl:      "1m",
	fields: field.Set[azureSettings]{
		field.Text("client_id", "Azure service principal client ID",
			form(azureID, "an id, such as 00000000-0000-0000-0000-000000000000"),
			func(s *azureSettings) *string { return &s.ClientID }),
		field.Text("client_secret", "Azure service principal client secret", parseCredential,
			func(s *azureSettings) *secret.Text { return &s.ClientSecret }).Hidden(),
		field.Text("tenant_id", "Azure tenant ID",
			form(regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.-]{0,252}$`), "the id or the domain of a tenant"),
			func(s *azureSettings) *string { return &s.TenantID }),
		field.Text("subscription_id", "Azure subscription ID",
			form(azureID, "an id, such as 00000000-0000-0000-0000-000000000000"),
			func(s *azureSettings) *string { return &s.SubscriptionID }),
		field.Text("resource_group_name", "Azure resource group name containing the DNS zone",
			form(regexp.MustCompile(`^[\pL\pN_().-]{0,89}[\pL\pN_()-]$`), "the name of a resource group"),
			func(s *azureSettings) *string { return &s.ResourceGroup }),
		field.Text("zone_name", "Azure DNS zone name", parseZoneName,
			func(s *azureSettings) *string { return &s.ZoneName }),
		field.Text("environment", "Azure cloud environment (AzurePublic, AzureChina, AzureGovernment; default: AzurePublic)", parseAzureCloud,
			func(s *azureSettings) *string { return &s.Environment }),
	},
	check: func(s *azureSettings) error {
		switch {
		case s.SubscriptionID == "":
			return errors.New("subscription_id is required")
		case s.ResourceGroup == "":
			return errors.New("resource_group_name is required")
		case s.ClientSecret != "" && (s.ClientID == "" || s.TenantID == ""):
			return errors.New("client_secret needs client_id and tenant_id; send all three, or no secret to use the managed identity of the virtual machine")
		}
		return nil
	},
	open: openAzure,
}

func openAzure(s *azureSettings, label string, o Options) (dns01.Provider, error) {
	factory, err := armdns.NewClientFactory(s.SubscriptionID, &azureCredential{settings: s, options: o}, s.clientOptions(o))
	if err != nil {
		return nil, err
	}
	service := &azureSets{settings: s, options: o, sets: factory.NewRecordSetsClient(), zones: factory.NewZonesClient()}
	scope := strings.ToLower("azure-dns/" + s.SubscriptionID + "/" + s.ResourceGroup)
	return &setProvider{label: label, scope: scope, service: service}, nil
}

func (s *azureSettings) cloud() cloud.Configuration {
	return azureClouds[cmp.Or(s.Environment, "AzurePublic")]
}

func parseAzureCloud(text string) (string, error) {
	if _, ok := azureClouds[text]; !ok && text != "" {
		return "", fmt.Errorf("%.64q is not one of %s", text, strings.Join(slices.Sorted(maps.Keys(azureClouds)), ", "))
	}
	return text, nil
}

var zoneNameForm = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// parseZoneName takes the name of a zone, whose labels may begin with an
// underscore, with or without the dot at its end.
func parseZoneName(text string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if name != "" && (len(name) > 253 || !zoneNameForm.MatchString(name)) {
		return "", fmt.Errorf("%.200q is not the name of a zone, such as example.com", text)
	}
	return name, nil
}
