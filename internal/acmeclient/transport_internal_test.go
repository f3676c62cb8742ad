package acmeclient

import (
	"crypto/tls"
	"net/http"
	"reflect"
	"testing"
)

// The environment's proxy is obeyed: many Vaults reach the internet in no other
// way. (net/http reads the environment once, so that setting it would prove nothing.)
func TestTransport(t *testing.T) {
	t.Parallel()
	transport, err := newTransport(nil)
	if err != nil {
		t.Fatal(err)
	}
	if reflect.ValueOf(transport.Proxy).Pointer() != reflect.ValueOf(http.ProxyFromEnvironment).Pointer() {
		t.Error("the environment's proxy is ignored")
	}
	if transport.TLSClientConfig.MinVersion < tls.VersionTLS12 || transport.TLSClientConfig.InsecureSkipVerify {
		t.Errorf("%+v", transport.TLSClientConfig)
	}
	if transport.MaxResponseHeaderBytes == 0 || transport.IdleConnTimeout == 0 {
		t.Error("headers and idle connections must have bounds")
	}
}

// What net/http would need to send a body twice is not there.
func TestRequestsCannotBeReplayed(t *testing.T) {
	t.Parallel()
	s := &Server{userAgent: "test"}
	hr, err := s.newRequest(t.Context(), http.MethodPost, request{url: "https://ca.example/"}, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if hr.GetBody != nil || hr.ContentLength != 2 {
		t.Errorf("GetBody set: %t, length %d", hr.GetBody != nil, hr.ContentLength)
	}
}
