package dnsprovider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"
	"google.golang.org/api/googleapi"

	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

const (
	googleTokenURL = "https://oauth2.googleapis.com/token"
	// googleDNSScope is the least scope that may change records.
	googleDNSScope = "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
	// googleIAMScope is for asking for a token of somebody else.
	googleIAMScope = "https://www.googleapis.com/auth/iam"
	googleIAM      = "https://iamcredentials.googleapis.com"
)

// serviceAccount is the part of a key file of Google that is needed.
type serviceAccount struct {
	Type         string `json:"type"`
	ProjectID    string `json:"project_id"`
	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`
	TokenURI     string `json:"token_uri"`
}

// tokens is how access tokens are got: with the key, or as the virtual machine;
// and if somebody is to be impersonated, what Google gives for that in exchange.
func (s *googleSettings) tokens(o Options) tokenSource {
	own := tokenSource(func(ctx context.Context) (*oauth2.Token, error) { return googleMetadataToken(ctx, o) })
	if account, err := s.account(); err == nil {
		own = account.tokens(o, googleDNSScope)
		if s.Impersonate != "" {
			own = account.tokens(o, googleIAMScope)
		}
	}
	if s.Impersonate == "" {
		return own
	}
	return impersonated(own, s.Impersonate, o)
}

// tokens exchanges a signed assertion for an access token (RFC 7523 §2.1).
func (a serviceAccount) tokens(o Options, scope string) tokenSource {
	config := &jwt.Config{
		Email: a.ClientEmail, PrivateKey: []byte(a.PrivateKey), PrivateKeyID: a.PrivateKeyID,
		Scopes: []string{scope}, TokenURL: googleTokenURL,
	}
	return func(ctx context.Context) (*oauth2.Token, error) {
		client := o.client()
		sent := &within{ctx: ctx, next: client.Transport}
		client.Transport = sent
		token, err := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client)).Token()
		switch {
		case sent.err != nil:
			return nil, fmt.Errorf("POST %s: %w", googleTokenURL, sent.err)
		case err != nil:
			return nil, o.tokenError(googleTokenURL, err)
		}
		return token, nil
	}
}

func googleMetadataToken(ctx context.Context, o Options) (*oauth2.Token, error) {
	return metadataToken(ctx, o, "/computeMetadata/v1/instance/service-accounts/default/token", "Metadata-Flavor", "Google")
}

// impersonated asks for a short-lived token of another service account.
func impersonated(own tokenSource, email string, o Options) tokenSource {
	return func(ctx context.Context) (*oauth2.Token, error) {
		token, err := own(ctx)
		if err != nil {
			return nil, err
		}
		iam := &api{base: googleIAM, transport: o.carrier(), now: o.Now, sign: func(r *http.Request, _ []byte) { token.SetAuthHeader(r) }}
		var out struct {
			AccessToken string    `json:"accessToken"`
			ExpireTime  time.Time `json:"expireTime"`
		}
		path := "/v1/projects/-/serviceAccounts/" + url.PathEscape(email) + ":generateAccessToken"
		if err := iam.do(ctx, http.MethodPost, path, map[string][]string{"scope": {googleDNSScope}}, &out); err != nil {
			return nil, fmt.Errorf("impersonating %s: %w", email, err)
		}
		return &oauth2.Token{AccessToken: out.AccessToken, Expiry: out.ExpireTime}, nil
	}
}

// googleThrottles are the reasons that mean that there were too many requests.
// Google may send them as 403.
var googleThrottles = []string{"rateLimitExceeded", "userRateLimitExceeded"}

// googleError takes out of an error of the library what an operator can use.
func (s *googleSets) googleError(method string, err error) error {
	doing := "Google Cloud DNS " + method
	answer, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	reason := ""
	if len(answer.Errors) > 0 {
		reason = answer.Errors[0].Reason
	}
	rejected := &rejection{
		doing: doing, status: answer.Code, detail: told(reason, answer.Message),
		retryAfter: upstream.RetryAfter(answer.Header.Get("Retry-After"), s.options.now()),
	}
	if slices.Contains(googleThrottles, reason) {
		return busy{rejected, rejected.retryAfter}
	}
	return rejected
}

// account reads the key file; the error is a clause about it.
func (s *googleSettings) account() (serviceAccount, error) {
	var a serviceAccount
	if s.Credentials == "" {
		return a, errors.New("is not set")
	}
	if json.Unmarshal([]byte(s.Credentials.Reveal()), &a) != nil {
		return a, errors.New("is not the JSON of a service account's key")
	}
	return a, nil
}
