package order

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// makeRequest prepares the CSR. In the identifier workflow it makes the key
// too and stores it first: once the CA has the CSR there may be a certificate,
// and a certificate without its key is lost.
func makeRequest(ctx context.Context, env Env, o *Order) (move, error) {
	if o.RequestCSR != "" {
		if err := o.useRequestCSR(env.Now()); err != nil {
			return move{}, err
		}
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
	csr, err := MakeCSR(key, o.identifiers(), population)
	if err != nil {
		return move{}, Refuse("%w", err)
	}
	o.setCSR(csr, env.Now())
	return moveTo(StateFinalizing)
}

func (o *Order) useRequestCSR(now time.Time) error {
	csr, err := ParseCSR(o.RequestCSR)
	if err != nil {
		return Refuse("reading the stored CSR: %w", err)
	}
	o.setCSR(csr.DER, now)
	return nil
}

// setCSR notes what is about to be sent. From the first CSR on a certificate
// may come, so the order gets the time for it once; a CA that keeps sending the
// order back gets no more.
func (o *Order) setCSR(der []byte, now time.Time) {
	if late := now.Add(graceAfterCSR); len(o.CSR) == 0 && late.After(o.Deadline) {
		o.Deadline = late
	}
	o.CSR, o.unsent = der, true
}

// key gives the order's private key: the one of the CSR before, if there was one.
// One that was made before a crash, but for no CSR, nobody knows; it is replaced.
func (o *Order) key(ctx context.Context, env Env) (crypto.Signer, error) {
	if len(o.CSR) > 0 {
		key, err := env.Safe.Key(ctx, o.ID)
		if !errors.Is(err, ErrNoKey) {
			return key, err
		}
	}
	key, err := o.newKey(ctx, env)
	if err != nil {
		return nil, err
	}
	if err := env.Safe.KeepKey(ctx, o.ID, key); err != nil {
		return nil, err
	}
	return key, nil
}

// newKey makes the key, unless that of an earlier order is to be certified again
// and is still there.
func (o *Order) newKey(ctx context.Context, env Env) (crypto.Signer, error) {
	if o.KeyFrom != "" {
		key, err := env.Safe.Key(ctx, o.KeyFrom)
		if !errors.Is(err, ErrNoKey) {
			return key, err
		}
	}
	key, err := keys.Generate(o.KeyKind)
	if err != nil {
		return nil, Refuse("making the key: %w", err)
	}
	return key, nil
}

// finalize sends the CSR (RFC 8555 §7.4). When the answer to an earlier try was
// lost the CA may have issued already, so the order is read first unless the CSR
// is known to be new; after a refusal it is read too, because a CA refuses a CSR
// that it has.
func finalize(ctx context.Context, env Env, o *Order) (move, error) {
	if !o.unsent || o.Setbacks > 0 || o.FinalizeURL == "" {
		at, err := o.look(ctx, env)
		if err != nil {
			return move{}, err
		}
		if at.Status != acme.StatusReady {
			return o.afterCSR(ctx, env, at)
		}
	}
	if o.FinalizeURL == "" {
		return move{}, fmt.Errorf("%w (§7.1.3): it names no URL for the CSR", acme.ErrViolation)
	}
	o.unsent = false
	at, err := env.CA.Finalize(ctx, o.FinalizeURL, o.CSR)
	if err != nil {
		return o.notFinalized(ctx, env, during("sending the CSR", err))
	}
	o.learn(at)
	return o.afterCSR(ctx, env, at)
}

// notFinalized decides after a failed finalize. Whether it was one is told by
// the order: processing or valid means that the CSR had arrived before.
func (o *Order) notFinalized(ctx context.Context, env Env, refusal error) (move, error) {
	if !final(refusal) {
		return move{}, refusal
	}
	at, err := o.look(ctx, env)
	if err != nil {
		return move{}, fmt.Errorf("%w (after %v)", err, refusal)
	}
	early := acme.IsProblem(refusal, acme.OrderNotReady)
	switch {
	case at.Status == acme.StatusReady && early:
		return o.stayBecause(refusal.Error(), backoff(o.Tries+1, env.Jitter()))
	case at.Status == acme.StatusReady:
		return o.amend(refusal)
	case at.Status == acme.StatusPending && !early:
		return move{}, refusal
	}
	return o.afterCSR(ctx, env, at)
}

// amend drops the common name when the CA dislikes the CSR: badCSR leaves the
// order ready (RFC 8555 §7.4), and some profiles take no common name.
func (o *Order) amend(refusal error) (move, error) {
	if acme.IsProblem(refusal, acme.BadCSR) && o.RequestCSR == "" && o.Population == CNFirst && !o.WithoutCN {
		o.WithoutCN = true
		return move{to: StateKeying, because: "trying again without a common name after " + refusal.Error()}, nil
	}
	return move{}, refusal
}

// afterCSR goes by the status of an order that has had its CSR.
func (o *Order) afterCSR(ctx context.Context, env Env, at acme.Order) (move, error) {
	switch at.Status {
	case acme.StatusProcessing, acme.StatusValid:
		return o.toCollect(at, env.Now())
	case acme.StatusReady:
		return o.stay(max(backoff(o.Tries+1, env.Jitter()), at.RetryAfter))
	case acme.StatusPending:
		return moveTo(StateProcessing)
	}
	return o.unusable(ctx, env, at)
}

// toCollect goes on to the certificate of an order that the CA has a CSR for.
// If none was sent from here, only the caller's own can be the one; that it is
// shows when the certificate is checked.
func (o *Order) toCollect(at acme.Order, now time.Time) (move, error) {
	o.learn(at)
	if len(o.CSR) > 0 {
		return moveTo(StateCollecting)
	}
	if o.RequestCSR == "" {
		return move{}, Refuse("the order is %s at the CA already, for a key that is not ours", at.Status)
	}
	if err := o.useRequestCSR(now); err != nil {
		return move{}, err
	}
	return moveTo(StateCollecting)
}

// collect waits for the certificate, and hands it over once it has been proved
// to be the one that was asked for. A CA may take hours (RFC 8555 §7.4:
// processing).
func collect(ctx context.Context, env Env, o *Order) (move, error) {
	if o.CertificateURL != "" {
		return o.download(ctx, env)
	}
	at, err := o.look(ctx, env)
	if err != nil {
		return move{}, err
	}
	switch at.Status {
	case acme.StatusProcessing, acme.StatusPending:
		return o.stay(poll(o.Tries, at.RetryAfter))
	case acme.StatusValid:
		if o.CertificateURL != "" {
			return o.download(ctx, env)
		}
		return o.stayBecause("the order is valid but names no certificate yet", poll(o.Tries, at.RetryAfter))
	case acme.StatusReady:
		return moveTo(StateFinalizing)
	}
	return o.unusable(ctx, env, at)
}

// download fetches, checks and stores the certificate. A refusal is not the
// last word (some CAs name a certificate before it can be had), and neither is
// an answer without one: the certificate exists and has been counted, giving it
// up gains nothing.
func (o *Order) download(ctx context.Context, env Env) (move, error) {
	chain, err := env.CA.Certificate(ctx, o.CertificateURL)
	if err == nil && len(chain.Certificates) == 0 {
		err = ErrNoChain
	}
	if err != nil {
		return move{}, notYet{during("downloading the certificate", err)}
	}
	cert, err := CheckCertificate(chain.Certificates, o.CSR, o.identifiers(), env.Now())
	if err != nil {
		return move{}, marked{Refuse("the certificate that the CA sent cannot be used: %w", err), acme.ErrViolation}
	}
	if cert, err = o.prefer(ctx, env, chain, cert); err != nil {
		return move{}, notYet{err}
	}
	o.Serial, o.NotBefore, o.NotAfter = cert.Serial, cert.NotBefore, cert.NotAfter
	if err := env.Safe.KeepCertificate(ctx, o, cert); err != nil {
		return move{}, err
	}
	return moveTo(StateCompleted)
}
