package order

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// makeRequest prepares the CSR. In the identifier workflow it makes the key
// too and stores it first: once the CA has the CSR there may be a certificate,
// and a certificate without its key is lost.
func makeRequest(ctx context.Context, env Env, o *Order) (move, error) {
	if o.RequestCSR != "" {
		csr, err := ParseCSR(o.RequestCSR)
		if err != nil {
			return move{}, fmt.Errorf("reading the stored CSR: %w: %w", err, ErrRefused)
		}
		o.CSR = csr.DER
		return moveTo(StateFinalizing)
	}
	key, err := o.key(ctx, env)
	if err != nil {
		return move{}, err
	}
	population := o.Population
	if o.WithoutCN {
		population = SANsOnly
	}
	if o.CSR, err = MakeCSR(key, o.identifiers(), population); err != nil {
		return move{}, err
	}
	return moveTo(StateFinalizing)
}

// key gives the order's private key; a key that was stored before a crash is
// used again.
func (o *Order) key(ctx context.Context, env Env) (crypto.Signer, error) {
	key, err := env.Safe.Key(ctx, o.ID)
	if !errors.Is(err, ErrNoKey) {
		return key, err
	}
	if key, err = keys.Generate(o.KeyKind); err != nil {
		return nil, fmt.Errorf("making the key: %w", err)
	}
	if err := env.Safe.KeepKey(ctx, o.ID, key); err != nil {
		return nil, err
	}
	return key, nil
}

// finalize sends the CSR (RFC 8555 §7.4). When the answer to an earlier try was
// lost the CA may have issued already, so from the second try on the order is
// read first; after a refusal it is read too, because a CA refuses a CSR that
// it has.
func finalize(ctx context.Context, env Env, o *Order) (move, error) {
	if late := env.Now().Add(graceAfterCSR); late.After(o.Deadline) {
		o.Deadline = late
	}
	if o.Tries > 0 {
		at, err := env.CA.Order(ctx, o.URL)
		if err != nil {
			return move{}, fmt.Errorf("reading the order: %w", err)
		}
		if at.Status != acme.StatusReady {
			return o.afterCSR(ctx, env, at)
		}
	}
	at, err := env.CA.Finalize(ctx, o.FinalizeURL, o.CSR)
	if err != nil {
		return o.notFinalized(ctx, env, fmt.Errorf("sending the CSR: %w", err))
	}
	return o.afterCSR(ctx, env, at)
}

// notFinalized decides after a failed finalize. Whether it was one is told by
// the order: processing or valid means that the CSR had arrived before.
func (o *Order) notFinalized(ctx context.Context, env Env, refusal error) (move, error) {
	if !final(refusal) {
		return move{}, refusal
	}
	at, err := env.CA.Order(ctx, o.URL)
	if err != nil || at.Status == acme.StatusPending {
		return move{}, refusal
	}
	if at.Status == acme.StatusReady {
		return o.amend(refusal)
	}
	return o.afterCSR(ctx, env, at)
}

// amend drops the common name when the CA dislikes the CSR: badCSR leaves the
// order ready (RFC 8555 §7.4), and some profiles take no common name.
func (o *Order) amend(refusal error) (move, error) {
	if acme.IsProblem(refusal, acme.BadCSR) && o.RequestCSR == "" && o.Population == CNFirst && !o.WithoutCN {
		o.WithoutCN = true
		return moveTo(StateKeying)
	}
	return move{}, refusal
}

// afterCSR goes by the status of an order that has had its CSR.
func (o *Order) afterCSR(ctx context.Context, env Env, at acme.Order) (move, error) {
	o.learn(at)
	switch at.Status {
	case acme.StatusProcessing, acme.StatusValid:
		return moveTo(StateCollecting)
	case acme.StatusReady:
		return o.stay(poll(o.Tries, at.RetryAfter))
	case acme.StatusPending:
		return moveTo(StateProcessing)
	}
	return o.unusable(ctx, env, at)
}

// collect waits for the certificate, and hands it over once it has been proved
// to be the one that was asked for. A CA may take hours (RFC 8555 §7.4:
// processing), and may refuse a download that it is not ready for.
func collect(ctx context.Context, env Env, o *Order) (move, error) {
	if o.CertificateURL == "" {
		return o.awaitIssuance(ctx, env)
	}
	chain, err := env.CA.Certificate(ctx, o.CertificateURL)
	if err != nil {
		return move{}, later(fmt.Errorf("downloading the certificate: %w", err))
	}
	cert, err := CheckCertificate(chain, o.CSR, o.identifiers(), env.Now())
	if err != nil {
		return move{}, fmt.Errorf("the certificate that the CA sent cannot be used: %w: %w", err, ErrRefused)
	}
	o.Serial, o.NotBefore, o.NotAfter = cert.Serial, cert.NotBefore, cert.NotAfter
	if err := env.Safe.KeepCertificate(ctx, o, cert); err != nil {
		return move{}, err
	}
	return moveTo(StateCompleted)
}

// later makes a refusal into something that is tried again until the deadline:
// the certificate exists and has been counted, giving it up gains nothing.
func later(err error) error {
	return &acme.Unreachable{Doing: "waiting for the CA", Err: errors.New(err.Error())}
}

func (o *Order) awaitIssuance(ctx context.Context, env Env) (move, error) {
	at, err := env.CA.Order(ctx, o.URL)
	if err != nil {
		return move{}, fmt.Errorf("reading the order: %w", err)
	}
	o.learn(at)
	switch at.Status {
	case acme.StatusProcessing:
		return o.stay(poll(o.Tries, at.RetryAfter))
	case acme.StatusValid:
		if o.CertificateURL == "" {
			return move{}, fmt.Errorf("the order is valid but names no certificate: %w", ErrRefused)
		}
		return o.stay(0)
	case acme.StatusReady:
		return moveTo(StateFinalizing)
	}
	return o.unusable(ctx, env, at)
}
