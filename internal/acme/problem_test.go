package acme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

func TestProblemError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		problem Problem
		want    string
	}{
		{Problem{Type: BadNonce, Detail: "too old", Status: 400}, "urn:ietf:params:acme:error:badNonce: too old"},
		{Problem{Status: 503}, "HTTP status 503"},
		{Problem{Status: 429, Detail: "Slow down"}, "HTTP status 429: Slow down"},
		{Problem{}, "unspecified problem"},
		{
			Problem{Type: Unauthorized, Detail: "no", Identifier: &Identifier{Type: DNS, Value: "a.example"}, Instance: "https://ca.example/why"},
			`urn:ietf:params:acme:error:unauthorized for "a.example": no (see https://ca.example/why)`,
		},
		{Problem{Type: BadSignatureAlgorithm, Algorithms: []string{"RS256", "ES256"}}, "urn:ietf:params:acme:error:badSignatureAlgorithm (accepted: RS256, ES256)"},
		{
			// RFC 8555 §6.7.1: each name has its own reason, and all must be told.
			Problem{Type: "t", Detail: "some names", Subproblems: []Problem{
				{Type: "caa", Detail: "forbidden", Identifier: &Identifier{Value: "a.example"}},
				{Type: "dns", Detail: "not found", Identifier: &Identifier{Value: "b.example"}},
			}},
			`t: some names; caa for "a.example": forbidden; dns for "b.example": not found`,
		},
	} {
		if got := test.problem.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("order x: %w", &Unreachable{Doing: "reading the order https://ca.example/1", Err: io.ErrUnexpectedEOF})
	if got := err.Error(); got != "order x: reading the order https://ca.example/1: unexpected EOF" {
		t.Error(got)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause cannot be told")
	}
}

func TestTemporary(t *testing.T) {
	t.Parallel()
	const unpause = "Your account is paused. See https://ca.example/sfe/v1/unpause?jwt=x"
	for _, test := range []struct {
		err    error
		want   bool
		reason string
	}{
		{nil, false, "no error"},
		{errors.New("a bug"), false, "nothing is known about it"},
		{context.Canceled, true, "a restart cancels; the order goes on afterwards"},
		{context.DeadlineExceeded, true, "likewise"},
		{&Unreachable{Doing: "x", Err: io.EOF}, true, "the network comes back"},
		{&Problem{Type: Unauthorized, Status: 403}, false, "a refusal"},
		{&Problem{Type: Malformed, Status: 404}, false, "it will not be there later either"},
		{&Problem{Status: 429}, true, "a limit that a proxy announces without a document"},
		{&Problem{Type: RateLimited, Status: 429, RetryAfter: time.Hour}, true, "a limit that passes"},
		{&Problem{Type: RateLimited}, true, "a limit inside of an order"},
		{&Problem{Type: RateLimited, Status: 429, Detail: unpause}, false, "this one ends when a human opens the link"},
		{&Problem{Type: RateLimited, Status: 429, Detail: unpause, RetryAfter: time.Hour}, true, "the CA says when"},
		{&Problem{Status: 408}, true, "a timeout on the way"},
		{&Problem{Status: 500}, true, "a fault of the CA"},
		{&Problem{Type: ServerInternal}, true, "likewise, inside of an order"},
		{&Problem{Type: BadNonce, Status: 400}, true, "bad luck"},
		{&Problem{Type: UserActionRequired, Status: 403}, false, "a human has to agree to something"},
	} {
		for _, err := range []error{test.err, wrap(test.err)} {
			if got := Temporary(err); got != test.want {
				t.Errorf("%v: %t: %s", err, got, test.reason)
			}
		}
	}
}

// wrap adds a layer, as every caller does.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("order x: %w", err)
}

func TestIsProblemAndGone(t *testing.T) {
	t.Parallel()
	err := wrap(&Problem{Type: AlreadyRevoked, Status: http.StatusBadRequest, RetryAfter: time.Minute})
	if !IsProblem(err, BadNonce, AlreadyRevoked) || IsProblem(err, BadNonce) || IsProblem(err) || IsProblem(errors.New(AlreadyRevoked), AlreadyRevoked) {
		t.Error("IsProblem mistakes one type for another")
	}
	if RetryAfter(err) != time.Minute || RetryAfter(nil) != 0 || RetryAfter(io.EOF) != 0 {
		t.Error("RetryAfter is wrong")
	}
	for status, want := range map[int]bool{400: false, 403: false, 404: true, 410: true, 500: false} {
		if got := Gone(wrap(&Problem{Status: status})); got != want {
			t.Errorf("status %d is gone: %t", status, got)
		}
	}
	if Gone(nil) || Gone(&Unreachable{Err: io.EOF}) {
		t.Error("only a CA can say that something is gone")
	}
}

func TestRequested(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		authorization Authorization
		want          string
	}{
		{Authorization{Identifier: Identifier{DNS, "example.com"}}, "example.com"},
		{Authorization{Identifier: Identifier{DNS, "example.com"}, Wildcard: true}, "*.example.com"},
		{Authorization{Identifier: Identifier{IP, "192.0.2.1"}, Wildcard: true}, "192.0.2.1"}, // there are no such wildcards
	} {
		if got := test.authorization.Requested().String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
