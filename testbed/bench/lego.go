package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	stdlog "log"

	"github.com/go-acme/lego/v4/certcrypto"
	"github.com/go-acme/lego/v4/certificate"
	"github.com/go-acme/lego/v4/lego"
	"github.com/go-acme/lego/v4/log"
	"github.com/go-acme/lego/v4/registration"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// legoClient is lego's own client, as its command line uses it, with an account.
type legoClient struct {
	*lego.Client
	gateway *testbed.Gateway
	key     crypto.PrivateKey
	account *registration.Resource
}

func newLego(p *testbed.Pebble, web *testbed.WebServer) (*legoClient, error) {
	log.Logger = stdlog.New(io.Discard, "", 0)
	g, err := testbed.StartGateway(p)
	if err != nil {
		return nil, err
	}
	l := &legoClient{gateway: g}
	if err := l.register(web); err != nil {
		g.Stop()
		return nil, err
	}
	return l, nil
}

func (l *legoClient) register(web *testbed.WebServer) (err error) {
	if l.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	config := lego.NewConfig(l)
	config.CADirURL = l.gateway.DirectoryURL
	config.HTTPClient = l.gateway.Client()
	config.Certificate.KeyType = certcrypto.EC256
	if l.Client, err = lego.NewClient(config); err != nil {
		return err
	}
	if err := l.Challenge.SetHTTP01Provider(webRoot{web}); err != nil {
		return err
	}
	l.account, err = l.Registration.Register(registration.RegisterOptions{TermsOfServiceAgreed: true})
	return err
}

// obtain gets a certificate for names, with a new key.
func (l *legoClient) obtain(names []string) error {
	got, err := l.Certificate.Obtain(certificate.ObtainRequest{Domains: names})
	if err == nil && len(got.Certificate) == 0 {
		return errors.New("lego got no certificate")
	}
	return err
}

// GetEmail implements registration.User.
func (l *legoClient) GetEmail() string { return "" }

// GetRegistration implements registration.User.
func (l *legoClient) GetRegistration() *registration.Resource { return l.account }

// GetPrivateKey implements registration.User.
func (l *legoClient) GetPrivateKey() crypto.PrivateKey { return l.key }

// webRoot answers http-01 through the web server that the plugin's challenges
// are put on too.
type webRoot struct{ web *testbed.WebServer }

// Present implements lego's challenge.Provider.
func (w webRoot) Present(_, token, keyAuth string) error { return w.web.Publish(token, keyAuth) }

// CleanUp implements lego's challenge.Provider.
func (w webRoot) CleanUp(_, token, _ string) error { return w.web.Withdraw(token) }
