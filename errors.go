package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// statusError is an error whose fault is not ours, with the HTTP status that
// says whose it is. Handlers return it; [answerError] turns it into what
// survives the way through Vault, where wrapped errors lose their meaning.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func status(code int, format string, args ...any) error {
	return &statusError{status: code, err: fmt.Errorf(format, args...)}
}

func badRequest(format string, args ...any) error {
	return status(http.StatusBadRequest, format, args...)
}

func conflict(format string, args ...any) error { return status(http.StatusConflict, format, args...) }

func forbidden(format string, args ...any) error {
	return status(http.StatusForbidden, format, args...)
}

// fromCA gives the error of a request to a CA its status: a refusal is quoted
// as the caller's to mend, silence is a bad gateway.
func fromCA(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case acme.RetryAfter(err) > 0 && acme.Temporary(err):
		return status(http.StatusServiceUnavailable, "%s: %w (the CA asks to wait %s)", doing, err, acme.RetryAfter(err))
	case acme.Temporary(err):
		return status(http.StatusBadGateway, "%s: %w", doing, err)
	}
	if _, refused := errors.AsType[*acme.Problem](err); refused || errors.Is(err, acme.ErrViolation) {
		return badRequest("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// refusedHere gives what was refused before it got to the CA its status: a key
// that ACME cannot sign with.
func refusedHere(err error) error {
	if _, refused := errors.AsType[*acme.Problem](err); refused || err == nil || acme.Temporary(err) {
		return err
	}
	return badRequest("%w", err)
}

// answerError makes Vault answer with the right status. Only errors of the
// exact types that the plugin protocol carries keep theirs, so they are made
// here, unwrapped, at the last moment.
func answerError(err error) (*logical.Response, error) {
	if s, ok := errors.AsType[*statusError](err); ok && s.status != http.StatusBadRequest {
		return nil, logical.CodedError(s.status, err.Error())
	} else if ok {
		return logical.ErrorResponse("%s", err.Error()), logical.ErrInvalidRequest
	}
	switch {
	case isReadOnly(err):
		return nil, logical.ErrReadOnly
	case errors.Is(err, store.ErrTooLarge):
		return logical.ErrorResponse("%s", err.Error()), logical.ErrInvalidRequest
	case errors.Is(err, store.ErrNotFound):
		return nil, logical.CodedError(http.StatusNotFound, err.Error())
	case errors.Is(err, errRace):
		return nil, logical.CodedError(http.StatusConflict, err.Error()+"; try again")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, logical.CodedError(http.StatusServiceUnavailable, err.Error())
	}
	if _, ok := errors.AsType[field.Errors](err); ok {
		return logical.ErrorResponse("%s", err.Error()), logical.ErrInvalidRequest
	}
	return nil, err
}

// isReadOnly recognises a storage that may not be written. The error comes
// from another process as text, so it can only be compared as text.
func isReadOnly(err error) bool {
	return err != nil && strings.Contains(err.Error(), logical.ErrReadOnly.Error())
}

func notFound(format string, args ...any) error {
	return status(http.StatusNotFound, format, args...)
}
