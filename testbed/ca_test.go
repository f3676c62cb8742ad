package testbed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// caBinaries are the CA's programs, built if need be.
func caBinaries(t *testing.T) Binaries {
	t.Helper()
	b, err := newBuilder(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer b.unlock()
	for _, p := range []part{pebblePart, challtestsrvPart} {
		if err := b.make(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return Binaries{Pebble: b.path(pebblePart), Challtestsrv: b.path(challtestsrvPart)}
}

func startTestCA(t *testing.T) *Bed {
	t.Helper()
	b := &Bed{Binaries: caBinaries(t), Dir: t.TempDir()}
	t.Cleanup(b.Stop)
	if err := b.startCA(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// acmeClient is a client with a fresh account at the CA.
func acmeClient(t *testing.T, p *Pebble) *acme.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := &acme.Client{Key: key, DirectoryURL: p.DirectoryURL, HTTPClient: p.client}
	if _, err := client.Register(t.Context(), &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	return client
}

// validate answers the http-01 challenge of an authorization through the web server.
func validate(ctx context.Context, b *Bed, client *acme.Client, url string) error {
	authorization, err := client.GetAuthorization(ctx, url)
	if err != nil {
		return err
	}
	for _, c := range authorization.Challenges {
		if c.Type != "http-01" {
			continue
		}
		answer, err := client.HTTP01ChallengeResponse(c.Token)
		if err != nil {
			return err
		}
		if err := b.Web.Publish(c.Token, answer); err != nil {
			return err
		}
		if _, err := client.Accept(ctx, c); err != nil {
			return err
		}
	}
	_, err = client.WaitAuthorization(ctx, url)
	return err
}

func TestCAValidatesThroughTheWebServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := startTestCA(t)
	client := acmeClient(t, b.Pebble)
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs("www.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range order.AuthzURLs {
		if err := validate(ctx, b, client, url); err != nil {
			t.Error(err)
		}
	}
}

func TestCAShowsTheRootItIssuesFrom(t *testing.T) {
	t.Parallel()
	b := startTestCA(t)
	text, err := b.Pebble.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if root, err := ParseCertificate(text); err != nil || !root.IsCA {
		t.Errorf("root is %v, %v", root, err)
	}
}

func TestWebServerServesChallenges(t *testing.T) {
	t.Parallel()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	w, err := StartWebServer(t.Context(), port, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	if err := w.Publish("token", "token.thumbprint"); err != nil {
		t.Fatal(err)
	}
	fetch := func() string {
		response, err := http.Get("http://" + Loopback(port) + challengePath + "token")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := fetch(); got != "token.thumbprint" {
		t.Errorf("published: %q", got)
	}
	if err := w.Withdraw("token"); err != nil {
		t.Fatal(err)
	}
	if got := fetch(); got != "404 page not found\n" {
		t.Errorf("withdrawn: %q", got)
	}
}

func TestFreePortsAreFreeAndDiffer(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if seen[port] {
			t.Errorf("%d was given twice", port)
		}
		seen[port] = true
		l, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			t.Errorf("%d is not free: %v", port, err)
			continue
		}
		_ = l.Close()
	}
}
