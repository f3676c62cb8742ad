package dnsprovider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

const (
	// maxBody bounds an answer, in bytes. The longest are zones with all their
	// records, from services that cannot be asked for less.
	maxBody = 8 << 20
	// patience is how long one request may take.
	patience = 30 * time.Second
)

// api is the HTTP interface of a DNS service: JSON in, JSON out. It keeps
// nothing between requests but connections.
type api struct {
	// label names the provider in errors: "powerdns/internal".
	label string
	// base precedes every path; it has no slash at its end. See parseBaseURL.
	base string
	// sign puts the credential on a request, of which body is a copy; nil for
	// a service that asks for none.
	sign func(r *http.Request, body []byte)
	// secrets are the credentials. A service that repeats one in an error does
	// not get it into ours.
	secrets []secret.Text
	// transport is of Options.
	transport http.RoundTripper
	// now is what a date in Retry-After is compared with; nil for time.Now.
	now func() time.Time
}

// do sends one request and decodes the answer. The path begins with a slash,
// its parts are escaped, and it may have a query, which errors do not show. A
// nil in sends no body; a nil out ignores that of the answer.
//
// An answer outside 200 to 299 is a *rejection. Redirects are not followed,
// because they would carry the credential to whatever place they name.
func (a *api) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	doing, _, _ := strings.Cut(method+" "+a.base+path, "?")
	response, err := a.send(ctx, method, path, in)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: reading the answer: %w", doing, err)
	case len(body) > maxBody:
		return fmt.Errorf("%s: the answer has more than %d bytes", doing, maxBody)
	case response.StatusCode/100 != 2:
		return &rejection{
			doing: doing, status: response.StatusCode, detail: a.excerpt(response, body),
			retryAfter: upstream.RetryAfter(response.Header.Get("Retry-After"), a.clock()),
		}
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s: the answer is not the JSON that was expected: %q", doing, a.excerpt(response, body))
	}
	return nil
}

func (a *api) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be read")
	}
	r.Header.Set("Accept", "application/json")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if a.sign != nil {
		a.sign(r, bytes.Clone(body))
	}
	client := http.Client{Transport: a.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the rest repeats method and URL, with its query
	}
	return response, err
}

func (a *api) clock() time.Time {
	now := a.now
	if now == nil {
		now = time.Now
	}
	return now()
}

// excerpt shows the beginning of a body, without credentials.
func (a *api) excerpt(r *http.Response, body []byte) string {
	for _, s := range a.secrets {
		if s != "" {
			body = bytes.ReplaceAll(body, []byte(s.Reveal()), []byte("[redacted]"))
		}
	}
	return upstream.Excerpt(body, r.Header.Get("Content-Type"))
}

// failed makes of what went wrong with a record what a provider returns; nil
// stays nil. The zone is "" while it is unknown.
func (a *api) failed(zone string, r dns01.Record, err error) error {
	if err == nil {
		return nil
	}
	f := &dns01.Failure{Provider: a.label, Zone: zone, Record: r.Name, Err: err}
	if answer, ok := errors.AsType[*rejection](err); ok {
		f.Refused, f.RetryAfter = answer.refused(), answer.retryAfter
	}
	if _, ok := errors.AsType[refusal](err); ok {
		f.Refused = true
	}
	return f
}

// rejection is an answer that is no success.
type rejection struct {
	doing      string // method and URL
	status     int
	detail     string
	retryAfter time.Duration
}

func (r *rejection) Error() string {
	text := fmt.Sprintf("%s answered %d %s", r.doing, r.status, http.StatusText(r.status))
	if r.detail == "" {
		return text
	}
	return text + ": " + r.detail
}

// refused tells whether the same request will be answered in the same way until
// somebody changes something.
func (r *rejection) refused() bool {
	switch r.status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return r.status < 500
}

// hasStatus tells whether err is an answer of this status.
func hasStatus(err error, status int) bool {
	r, ok := errors.AsType[*rejection](err)
	return ok && r.status == status
}

// refusal is an error of our own that stays until somebody changes something:
// there is no zone for a name.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// parseBaseURL takes the URL that a service's interface begins at. Plain HTTP
// is accepted because such interfaces are often served to the loopback
// interface, a side-car or an internal network alone; over it, everybody on
// the way reads the credential.
func parseBaseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("cannot be read as a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return "", fmt.Errorf("must be an http or https URL with a host, not %.200q", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("must not hold a user, a query or a fragment; credentials have fields of their own")
	}
	return strings.TrimRight(u.String(), "/"), nil
}
