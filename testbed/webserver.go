package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// challengePath is where a CA looks for the answer to an http-01 challenge (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// WebServer serves the files of a folder over HTTP, as the web server of a site would that is to get a
// certificate.
type WebServer struct {
	Folder string // the document root
	server *http.Server
}

// StartWebServer serves folder on a port of 127.0.0.1 until ctx ends.
func StartWebServer(ctx context.Context, port int, folder string) (*WebServer, error) {
	if err := os.MkdirAll(filepath.Join(folder, challengePath), 0o755); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		return nil, fmt.Errorf("start the web server: %w", err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(folder)), ReadHeaderTimeout: 10 * time.Second}
	w := &WebServer{Folder: folder, server: server}
	go func() { _ = server.Serve(listener) }() // ends with Stop
	context.AfterFunc(ctx, w.Stop)
	return w, nil
}

// Publish puts a key authorization where the CA will look for it.
func (w *WebServer) Publish(token, keyAuthorization string) error {
	return os.WriteFile(w.ChallengeFile(token), []byte(keyAuthorization), 0o644)
}

// Withdraw removes what Publish put there.
func (w *WebServer) Withdraw(token string) error {
	err := os.Remove(w.ChallengeFile(token))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// ChallengeFile is the path of the file that answers the challenge with this token.
func (w *WebServer) ChallengeFile(token string) string {
	return filepath.Join(w.Folder, challengePath, filepath.Base(token))
}

// Stop ends the server.
func (w *WebServer) Stop() { _ = w.server.Close() }
