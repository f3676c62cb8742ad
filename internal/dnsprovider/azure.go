package dnsprovider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// azureClouds are the clouds by the names that the API has for them.
var azureClouds = map[string]cloud.Configuration{
	"AzurePublic":     cloud.AzurePublic,
	"AzureChina":      cloud.AzureChina,
	"AzureGovernment": cloud.AzureGovernment,
}

// clientOptions keeps the library from repeating requests by itself, which
// would take longer than an order should wait without saying why, and from
// registering DNS for the subscription, which is not for us to decide.
func (s *azureSettings) clientOptions(o Options) *arm.ClientOptions {
	return &arm.ClientOptions{
		ClientOptions: policy.ClientOptions{
			Cloud: s.cloud(), Transport: o.client(),
			Retry: policy.RetryOptions{MaxRetries: -1},
		},
		DisableRPRegistration: true,
	}
}

// azureCredential gets access tokens. The library azidentity would, too, but it
// also looks into the environment for which endpoints to ask, and reads files.
type azureCredential struct {
	settings *azureSettings
	options  Options
}

// GetToken implements azcore.TokenCredential. The caller keeps the token.
func (c *azureCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	get := c.exchange
	if c.settings.ClientSecret == "" {
		get = c.managedIdentity
	}
	token, err := get(ctx, o.Scopes)
	if err != nil {
		return azcore.AccessToken{}, fmt.Errorf("getting an access token: %w", err)
	}
	return azcore.AccessToken{Token: token.AccessToken, ExpiresOn: token.Expiry}, nil
}

// exchange gives the client's secret for a token (RFC 6749 §4.4).
func (c *azureCredential) exchange(ctx context.Context, scopes []string) (*oauth2.Token, error) {
	s := c.settings
	config := clientcredentials.Config{
		ClientID: s.ClientID, ClientSecret: s.ClientSecret.Reveal(), Scopes: scopes, AuthStyle: oauth2.AuthStyleInParams,
		TokenURL: s.cloud().ActiveDirectoryAuthorityHost + s.TenantID + "/oauth2/v2.0/token",
	}
	token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, c.options.client()))
	if err != nil {
		return nil, c.options.tokenError(config.TokenURL, err, s.ClientSecret)
	}
	return token, nil
}

// managedIdentity asks the metadata service of the virtual machine. If that has
// several identities, client_id says which.
func (c *azureCredential) managedIdentity(ctx context.Context, _ []string) (*oauth2.Token, error) {
	query := url.Values{
		"api-version": {"2018-02-01"},
		"resource":    {c.settings.cloud().Services[cloud.ResourceManager].Audience},
	}
	if c.settings.ClientID != "" {
		query.Set("client_id", c.settings.ClientID)
	}
	return metadataToken(ctx, c.options, "/metadata/identity/oauth2/token?"+query.Encode(), "Metadata", "true")
}

// azureError takes out of an error of the library what an operator can use.
func (s *azureSets) azureError(doing string, err error) error {
	hidden := s.settings.ClientSecret
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	rejected := &rejection{doing: doing, status: answer.StatusCode, detail: told(answer.ErrorCode, "", hidden)}
	if r := answer.RawResponse; r != nil {
		rejected.detail = told(answer.ErrorCode, azureMessage(r), hidden)
		rejected.retryAfter = upstream.RetryAfter(r.Header.Get("Retry-After"), s.options.now())
	}
	if answer.StatusCode == http.StatusPreconditionFailed {
		return fmt.Errorf("%w: %w", errChanged, rejected)
	}
	return rejected
}

// azureMessage reads the words out of the body, which the library has kept.
func azureMessage(r *http.Response) string {
	body, err := runtime.Payload(r)
	if err != nil {
		return ""
	}
	var out struct {
		Message string `json:"message"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &out) != nil {
		return "" // an error without words
	}
	return strings.TrimSpace(out.Error.Message + out.Message)
}
