package account

import (
	"errors"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// Rotation is what is remembered of a change of key by age that is due and has not
// come about. The next change of the key, however it comes, starts afresh.
type Rotation struct {
	// Failures counts the tries since the key was changed last.
	Failures int `json:"failures,omitempty"`
	// Retry is when the next try may be.
	Retry time.Time `json:"retry,omitzero"`
	// LastError says why the latest try led to nothing.
	LastError string `json:"last_error,omitempty"`
	// Awaits names what the latest try found in its way, "" for nothing: it is
	// looked at first by the next one.
	Awaits string `json:"awaits,omitempty"`
}

// The bounds of a period between two keys. Below the lower one a CA would hear of
// nothing but new keys.
const (
	ShortestPeriod = time.Hour
	LongestPeriod  = 10 * 365 * 24 * time.Hour
)

// CheckPeriod refuses, with a clause that follows the name of the field, what is no
// period: it is 0, for keys that are changed by hand alone, or within the bounds.
func CheckPeriod(d time.Duration) error {
	if d != 0 && (d < ShortestPeriod || d > LongestPeriod) {
		return errors.New("must be 0, which leaves the key as it is, or from 1h to 87600h (ten years)")
	}
	return nil
}

// ActiveKind is the kind of the active key.
func (a *Account) ActiveKind() keys.Kind { return a.Versions[a.ActiveVersion()].Kind }

// LastRotated is when the active key was made in place of another one; zero when
// it is the account's first.
func (a *Account) LastRotated() time.Time {
	if a.ActiveVersion() < 1 {
		return time.Time{}
	}
	return a.Versions[a.ActiveVersion()].Created
}

// NextRotation is when the key is to be changed because of its age: a period after
// it was made, or after a failure when the next try may be. It is zero when the key
// is not changed by age, or the account is about to end.
func (a *Account) NextRotation() time.Time {
	if a.RotationPeriod == 0 || a.Deleting || len(a.Versions) == 0 {
		return time.Time{}
	}
	due := a.Versions[a.ActiveVersion()].Created.Add(a.RotationPeriod)
	if a.Rotation.Retry.After(due) {
		return a.Rotation.Retry
	}
	return due
}

// Postpone notes that a change of key led to nothing, and what was in its way, if
// something was. The next try is not before after, however short the pause would be.
// jitter is in [0,1).
func (a *Account) Postpone(why, awaits string, after time.Duration, now time.Time, jitter float64) {
	r := &a.Rotation
	r.Failures++
	r.LastError, r.Awaits = why, awaits
	longest := 24 * time.Hour
	if awaits != "" {
		longest = time.Hour
	}
	r.Retry = now.Add(max(Backoff(r.Failures, longest, jitter), after))
}

// Backoff is how long to wait after the n-th try in a row (from 1) that led to
// nothing: a minute, then twice as long each time up to longest, and up to a fifth
// more by jitter in [0,1). Where something is in the way the longest is to be short,
// so that an account which always has challenges in place has many chances to be
// found without one; where the CA refuses, it is asked in vain.
func Backoff(n int, longest time.Duration, jitter float64) time.Duration {
	d := min(time.Minute<<min(max(n-1, 0), 12), longest)
	return d + time.Duration(jitter*float64(d)/5)
}
