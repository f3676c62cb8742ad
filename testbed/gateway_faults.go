package testbed

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Fault is something that goes wrong with one request on its way to Pebble, or with the answer on its way back.
type Fault func(ask func() (*http.Response, error), r *http.Request) (*http.Response, error)

// errCut is how a connection ends between the client and the gateway.
var errCut = errors.New("the gateway cuts the connection")

// Fail lets the next requests below a path go wrong, each in the way of one of the faults. Those before are
// replaced. Requests that only read an order are below [PathOrder].
func (g *Gateway) Fail(path string, faults ...Fault) { g.faults.set(path, faults) }

// Failed is how many requests have gone wrong.
func (g *Gateway) Failed() int { return int(g.faults.done.Load()) }

// Refuse answers with a status, headers in pairs, and a text, and does not ask the CA.
func Refuse(status int, contentType, body string, headers ...string) Fault {
	return func(_ func() (*http.Response, error), r *http.Request) (*http.Response, error) {
		response := answerTo(r, status, contentType, io.NopCloser(strings.NewReader(body)))
		for i := 0; i+1 < len(headers); i += 2 {
			response.Header.Set(headers[i], headers[i+1])
		}
		return response, nil
	}
}

// Cut ends the connection, and does not ask the CA.
func Cut(_ func() (*http.Response, error), r *http.Request) (*http.Response, error) {
	return answerTo(r, http.StatusOK, "application/json", failing{}), nil
}

// Lose lets the CA do as it is asked, and ends the connection.
func Lose(ask func() (*http.Response, error), r *http.Request) (*http.Response, error) {
	response, err := ask()
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	return Cut(ask, r)
}

// Truncate hands over half of the CA's answer.
func Truncate(ask func() (*http.Response, error), _ *http.Request) (*http.Response, error) {
	response, err := ask()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), failing{}))
	return response, nil
}

// Flood answers with up to so many bytes, and counts those that are taken.
func Flood(size int64, taken *atomic.Int64) Fault {
	return func(_ func() (*http.Response, error), r *http.Request) (*http.Response, error) {
		return answerTo(r, http.StatusOK, "application/json", io.NopCloser(&spring{left: size, taken: taken})), nil
	}
}

// failing is a body that breaks, and the connection with it.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

func (failing) Close() error { return nil }

// spring is a long body of spaces.
type spring struct {
	left  int64
	taken *atomic.Int64
}

func (s *spring) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), s.left))
	if n == 0 {
		return 0, io.EOF
	}
	copy(p, bytes.Repeat([]byte(" "), n))
	s.left -= int64(n)
	s.taken.Add(int64(n))
	return n, nil
}

// answerTo makes an answer that is not the CA's. It brings no nonce: the next request has to fetch one.
func answerTo(r *http.Request, status int, contentType string, body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: body, ContentLength: -1, Request: r,
	}
}

// faults are the requests that are to go wrong, by the beginning of their paths.
type faults struct {
	mu   sync.Mutex
	next map[string][]Fault
	done atomic.Int64
}

func (f *faults) set(path string, next []Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = map[string][]Fault{}
	}
	f.next[path] = next
}

// take gives what is to go wrong with a request, nil for nothing.
func (f *faults) take(path string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for begin, next := range f.next {
		if len(next) > 0 && strings.HasPrefix(path, begin) {
			f.next[begin] = next[1:]
			f.done.Add(1)
			return next[0]
		}
	}
	return nil
}

func (f *faults) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		ask := func() (*http.Response, error) { return next.RoundTrip(r) }
		if fault := f.take(r.URL.Path); fault != nil {
			return fault(ask, r)
		}
		return ask()
	})
}
