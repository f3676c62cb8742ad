package dnsprovider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"vault-plugin-secrets-pki-external-ca/internal/secret"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// tokenSource gets a new access token.
type tokenSource func(context.Context) (*oauth2.Token, error)

// bearer puts an access token on requests, and keeps it until shortly before
// its end, or until it is refused.
type bearer struct {
	source tokenSource
	next   http.RoundTripper

	mu   sync.Mutex
	last *oauth2.Token
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.token(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // RoundTrippers close what they do not send
		}
		return nil, err
	}
	authorized := r.Clone(r.Context())
	token.SetAuthHeader(authorized)
	response, err := b.next.RoundTrip(authorized)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		b.keep(nil)
	}
	return response, err
}

// token gives one that is good for a while. No lock is held while one is got:
// two that are got at once do no harm.
func (b *bearer) token(ctx context.Context) (*oauth2.Token, error) {
	b.mu.Lock()
	last := b.last
	b.mu.Unlock()
	if last.Valid() {
		return last, nil
	}
	fresh, err := b.source(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting an access token: %w", err)
	}
	b.keep(fresh)
	return fresh, nil
}

func (b *bearer) keep(token *oauth2.Token) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = token
}

// issued is an access token as a metadata service gives it.
type issued struct {
	AccessToken string `json:"access_token"`
	// ExpiresIn is in seconds, which Azure puts in quotation marks.
	ExpiresIn json.Number `json:"expires_in"`
}

// metadataToken asks the metadata service for an access token of the identity
// that the virtual machine has. The header is what each cloud wants to see, so
// that a request somebody was tricked into is not answered.
func metadataToken(ctx context.Context, o Options, path, header, value string) (*oauth2.Token, error) {
	var out issued
	if err := o.metadata(header, value).do(ctx, http.MethodGet, path, nil, &out); err != nil {
		return nil, fmt.Errorf("no credentials are set, and the metadata service of the virtual machine gives none: %w", err)
	}
	seconds, err := out.ExpiresIn.Int64()
	if err != nil || out.AccessToken == "" {
		return nil, errors.New("the metadata service of the virtual machine answered without an access token")
	}
	return &oauth2.Token{AccessToken: out.AccessToken, Expiry: o.now().Add(time.Duration(seconds) * time.Second)}, nil
}

func (o Options) metadata(header, value string) *api {
	return &api{
		base: metadataHost, transport: o.metadataCarrier(), now: o.Now,
		sign: func(r *http.Request, _ []byte) { r.Header.Set(header, value) },
	}
}

// tokenError takes what a token endpoint answered out of the error of the
// library, which would print the whole body.
func (o Options) tokenError(endpoint string, err error, secrets ...secret.Text) error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return err
	}
	code, message := answer.ErrorCode, answer.ErrorDescription
	if code == "" {
		code, message = oauthError(answer.Body)
	}
	rejected := &rejection{doing: "POST " + endpoint, detail: told(code, message, secrets...)}
	if r := answer.Response; r != nil {
		rejected.status = r.StatusCode
		rejected.retryAfter = upstream.RetryAfter(r.Header.Get("Retry-After"), o.now())
	}
	return rejected
}

// oauthError reads an error by RFC 6749 §5.2.
func oauthError(body []byte) (code, message string) {
	var out struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &out) != nil {
		return "", "" // an error without words
	}
	return out.Error, out.Description
}
