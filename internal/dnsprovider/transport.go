package dnsprovider

import (
	"context"
	"net/http"
	"time"
)

// metadataHost is where a virtual machine at AWS, Azure or Google learns about
// itself. The address is link-local, so nothing that is sent there leaves the
// machine's host. Of the three, only this address is the same at all times:
// environment variables that name another are not obeyed.
const metadataHost = "http://169.254.169.254"

// client sends the requests of libraries that bring no limits of their own:
// redirects are not followed, answers are bounded, and each request ends.
func (o Options) client() *http.Client {
	return limited(o.carrier())
}

func (o Options) now() time.Time {
	now := o.Now
	if now == nil {
		now = time.Now
	}
	return now()
}

// metadataClient is for requests to metadataHost. A proxy is never asked,
// because what comes back is a credential.
func (o Options) metadataClient() *http.Client { return limited(o.metadataCarrier()) }

func limited(carrier http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     bounded{carrier},
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (o Options) carrier() http.RoundTripper {
	if o.Transport == nil {
		return http.DefaultTransport
	}
	return o.Transport
}

func (o Options) metadataCarrier() http.RoundTripper {
	if o.Transport == nil {
		return direct
	}
	return o.Transport
}

// direct goes without a proxy, and waits for a connection no longer than it
// takes to see that this is no virtual machine of a cloud.
var direct = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.ResponseHeaderTimeout = 5 * time.Second
	return t
}()

// bounded ends answers that are longer than any honest one.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxBody)
	}
	return response, err
}

// within ends requests with a context, for a library that gives them none, and
// keeps why there was no answer, which that library tells in words only.
type within struct {
	ctx  context.Context
	next http.RoundTripper
	err  error
}

// RoundTrip implements http.RoundTripper.
func (w *within) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(r.WithContext(w.ctx))
	w.err = err
	return response, err
}
