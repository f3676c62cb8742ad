// Package http01 answers the requests with which CAs validate http-01 (RFC 8555
// §8.3), for web servers that pass them on.
//
// It is asked by anybody, so it holds everything in memory, does the same work
// for a token that it knows and for one that it does not, and bounds how many
// wrong guesses it answers. What it holds is a copy: the truth is in the stored
// orders, from which it is filled after every start. Until that is done it
// cannot say that a token is unknown.
package http01

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
	"time"
)

// Why there is no answer. The texts are for the web server that asked.
var (
	ErrUnknown  = errors.New("no challenge with this token is waiting for an answer")
	ErrStarting = errors.New("the orders are being read; ask again in a few seconds")
	ErrBusy     = errors.New("too many requests for tokens that are unknown")
)

// Relay is what a mount answers. Its zero value is of no use; make one with [New].
type Relay struct {
	mu sync.RWMutex
	// answers are found by the digests of their tokens, so that how long the
	// search takes says nothing about the tokens that there are.
	answers map[digest]*answer
	orders  map[string][]digest
	ready   bool
	off     bool

	now     func() time.Time
	guesses bucket
}

type digest = [sha256.Size]byte

// answer is a key authorization. CAs may give several orders the same
// authorization, and with it the same token: it goes with the last of them.
type answer struct {
	token, keyAuth string
	orders         int
}

// New makes a relay that knows no token, and is not ready.
func New(now func() time.Time) *Relay {
	return &Relay{
		answers: map[digest]*answer{}, orders: map[string][]digest{},
		now: now, guesses: bucket{perSecond: 500, most: 1000},
	}
}

// Follow makes the answers for an order those given, by token; whatever was
// answered for it before is not any more.
func (r *Relay) Follow(order string, answers map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.orders[order]
	delete(r.orders, order)
	for token, keyAuth := range answers {
		if ParseToken(token) == nil { // or nobody can ask for it
			r.orders[order] = append(r.orders[order], r.add(token, keyAuth))
		}
	}
	for _, key := range before {
		r.remove(key)
	}
}

// add needs the lock.
func (r *Relay) add(token, keyAuth string) digest {
	key := sha256.Sum256([]byte(token))
	at := r.answers[key]
	if at == nil {
		at = &answer{token: token}
		r.answers[key] = at
	}
	at.keyAuth = keyAuth
	at.orders++
	return key
}

// remove needs the lock.
func (r *Relay) remove(key digest) {
	at := r.answers[key]
	if at.orders--; at.orders == 0 {
		delete(r.answers, key)
	}
}

// Switch turns the relay on or off. While it is off every token is unknown.
func (r *Relay) Switch(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.off = !on
}

// On tells whether the relay is switched on, as it is at first.
func (r *Relay) On() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return !r.off
}

// Ready says that all orders are followed: what is unknown now is unknown.
func (r *Relay) Ready() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready = true
}

// Forget drops every order, and with them the certainty of [Relay.Ready].
func (r *Relay) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.answers)
	clear(r.orders)
	r.ready = false
}

// nobody is compared with when a token is unknown.
var nobody = &answer{token: "no token has an exclamation mark!"}

// Answer gives the key authorization for a token; else [ErrUnknown], [ErrToken],
// [ErrStarting] or [ErrBusy]. A flood of wrong tokens keeps no right one from
// being answered.
func (r *Relay) Answer(token string) (string, error) {
	if err := ParseToken(token); err != nil && r.On() {
		return "", err
	}
	r.mu.RLock()
	at, ready, on := r.answers[sha256.Sum256([]byte(token))], r.ready, !r.off
	if at == nil {
		at = nobody
	}
	keyAuth, same := at.keyAuth, subtle.ConstantTimeCompare([]byte(at.token), []byte(token)) == 1
	r.mu.RUnlock()
	switch allowed := r.guesses.take(r.now()); {
	case on && same:
		return keyAuth, nil
	case !allowed:
		return "", ErrBusy
	case on && !ready:
		return "", ErrStarting
	}
	return "", ErrUnknown
}
