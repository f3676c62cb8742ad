package acmetest

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// Request is what a client sent to a [ScriptServer].
type Request struct {
	Resource Resource
	// ID is the number in the URL: "3" for order 3 and for its finalize.
	ID     string
	Method string
	Header http.Header
	// What the JWS protects (RFC 8555 §6.2). Key is the RFC 7638 thumbprint
	// of an embedded key, empty when the account signs by KID.
	KID, Key, Nonce, Algorithm, URL string
	// Payload is empty for POST-as-GET.
	Payload []byte
	// Body is the JWS as it came.
	Body []byte

	ctx context.Context
}

// Decode reads the payload.
func (r *Request) Decode(v any) error {
	if err := json.Unmarshal(r.Payload, v); err != nil {
		return fmt.Errorf("the payload of a request for %s: %w", r.Resource, err)
	}
	return nil
}

type protectedHeader struct {
	Algorithm string           `json:"alg"`
	KID       string           `json:"kid"`
	JWK       *jose.JSONWebKey `json:"jwk"`
	Nonce     string           `json:"nonce"`
	URL       string           `json:"url"`
}

type flatJWS struct {
	Protected string `json:"protected"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

func (s *ScriptServer) parse(hr *http.Request) (*Request, error) {
	resource, id := locate(hr.URL.Path)
	r := &Request{Resource: resource, ID: id, Method: hr.Method, Header: hr.Header, ctx: hr.Context()}
	if hr.Method != http.MethodPost {
		return r, nil
	}
	var err error
	if r.Body, err = io.ReadAll(hr.Body); err != nil {
		return r, fmt.Errorf("reading the request: %w", err)
	}
	if err := r.open(r.Body); err != nil {
		return r, err
	}
	if want := s.http.URL + hr.URL.Path; r.URL != want {
		return r, fmt.Errorf("the signed url is %q, the request went to %q", r.URL, want)
	}
	if hr.Header.Get("Content-Type") != "application/jose+json" {
		return r, errors.New("the content type is not application/jose+json")
	}
	return r, nil
}

// open takes the JWS apart without looking at its signature.
func (r *Request) open(body []byte) error {
	h, payload, err := openJWS(body)
	if err != nil {
		return err
	}
	r.KID, r.Nonce, r.Algorithm, r.URL, r.Payload = h.KID, h.Nonce, h.Algorithm, h.URL, payload
	if (h.JWK == nil) == (h.KID == "") {
		return errors.New("exactly one of kid and jwk must be given (RFC 8555 §6.2)")
	}
	if h.JWK != nil {
		r.Key, err = thumbprint(h.JWK)
	}
	return err
}

func openJWS(body []byte) (h protectedHeader, payload []byte, err error) {
	var flat flatJWS
	if err := json.Unmarshal(body, &flat); err != nil {
		return h, nil, fmt.Errorf("the request is not a JWS: %w", err)
	}
	protected, err := decodeSegment(flat.Protected)
	if err != nil {
		return h, nil, fmt.Errorf("the protected header is not base64url: %w", err)
	}
	if err := json.Unmarshal(protected, &h); err != nil {
		return h, nil, fmt.Errorf("the protected header: %w", err)
	}
	if payload, err = decodeSegment(flat.Payload); err != nil {
		return h, nil, fmt.Errorf("the payload is not base64url: %w", err)
	}
	return h, payload, nil
}

func thumbprint(key *jose.JSONWebKey) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("the embedded key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
