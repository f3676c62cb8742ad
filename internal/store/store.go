// Package store keeps typed records in Vault's storage.
//
// A [Collection] is a prefix of the storage and the type of the records below
// it. Every record is written with the version of its shape, so that a later
// release can read what an earlier one wrote: a collection whose shape changes
// raises Version and adds one entry to Upgrades.
//
// Storage has no transactions. A caller that writes two records writes the one
// first whose lone existence does no harm.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/vault/sdk/logical"
)

// ErrNotFound is wrapped by every error about a record that does not exist.
var ErrNotFound = errors.New("not found")

// ErrUnreadable is wrapped by every error about a record that is there and
// cannot be understood. Reading it again does not help.
var ErrUnreadable = errors.New("the stored record cannot be read")

// ErrTooLarge is wrapped by the error about a record that storage would not take.
var ErrTooLarge = errors.New("too large to be stored")

// MaxSize bounds a record as it lies in storage, in bytes. Vault's integrated
// storage takes a megabyte, its own overhead included.
const MaxSize = 960 << 10

// Upgrade turns the data of one version of a record into the next one's.
type Upgrade func(json.RawMessage) (json.RawMessage, error)

// Collection is the records of type T below Prefix.
type Collection[T any] struct {
	// Kind is what a record is called in errors: "role".
	Kind string
	// Prefix ends with a slash.
	Prefix string
	// Version is what is written now; the first version is 1.
	Version int
	// Upgrades holds, for each older version, the step to the next.
	Upgrades map[int]Upgrade
	// Shared tells that nobody ever changes a record that was read, so that all
	// readers may be given one copy of it ([Cache]).
	Shared bool
}

// envelope is a record as it lies in storage: D is the record's type, or raw
// JSON where that is not known yet.
type envelope[D any] struct {
	Version int `json:"version"`
	Data    D   `json:"data"`
}

// Get reads a record; the error wraps [ErrNotFound] when there is none.
func (c Collection[T]) Get(ctx context.Context, s logical.Storage, name string) (*T, error) {
	entry, shared, err := c.raw(ctx, s, c.Prefix+name)
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", c.Kind, name, err)
	}
	if entry == nil {
		return nil, fmt.Errorf("%s %q: %w", c.Kind, name, ErrNotFound)
	}
	if rec, decoded := shared.Load().(*T); decoded {
		return rec, nil
	}
	rec, err := c.decode(entry.Value)
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w: %w", c.Kind, name, ErrUnreadable, err)
	}
	shared.Store(rec)
	return rec, nil
}

// raw reads a record as it lies in storage, and where its decoded copy is shared:
// nowhere, unless the collection and the storage both allow it.
func (c Collection[T]) raw(ctx context.Context, s logical.Storage, key string) (*logical.StorageEntry, *atomic.Value, error) {
	if cache, ok := s.(*cached); ok && c.Shared && cache.covers(key) {
		r, err := cache.get(ctx, key)
		if err != nil {
			return nil, nil, err
		}
		return r.entry, &r.decoded, nil
	}
	entry, err := s.Get(ctx, key)
	return entry, &atomic.Value{}, err
}

// decode reads what was written by this version in one go, which is nearly
// everything; whatever is odd is looked at step by step, to say what.
func (c Collection[T]) decode(raw []byte) (*T, error) {
	var current envelope[*T]
	err := json.Unmarshal(raw, &current)
	if err == nil && current.Version == c.Version && current.Data != nil {
		return current.Data, nil
	}
	return c.decodeInSteps(raw)
}

func (c Collection[T]) decodeInSteps(raw []byte) (*T, error) {
	var env envelope[json.RawMessage]
	if err := json.Unmarshal(raw, &env); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if env.Version > c.Version || env.Version < 1 {
		return nil, fmt.Errorf("it has version %d; this release reads 1 to %d", env.Version, c.Version)
	}
	for v := env.Version; v < c.Version; v++ {
		data, err := c.upgrade(v, env.Data)
		if err != nil {
			return nil, fmt.Errorf("upgrading it from version %d: %w", v, err)
		}
		env.Data = data
	}
	// A null would pass for a record in which nothing is set.
	if len(env.Data) == 0 || string(env.Data) == "null" {
		return nil, errors.New("it is damaged: it has no data")
	}
	rec := new(T)
	if err := json.Unmarshal(env.Data, rec); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	return rec, nil
}

func (c Collection[T]) upgrade(from int, data json.RawMessage) (json.RawMessage, error) {
	step := c.Upgrades[from]
	if step == nil {
		return nil, errors.New("this release does not know how")
	}
	return step(data)
}

// Put writes a record.
func (c Collection[T]) Put(ctx context.Context, s logical.Storage, name string, rec *T) error {
	raw, err := json.Marshal(envelope[*T]{Version: c.Version, Data: rec})
	if err != nil {
		return fmt.Errorf("encoding %s %q: %w", c.Kind, name, err)
	}
	if len(raw) > MaxSize {
		return fmt.Errorf("%s %q is %w: it would take %d bytes of at most %d", c.Kind, name, ErrTooLarge, len(raw), MaxSize)
	}
	if err := s.Put(ctx, &logical.StorageEntry{Key: c.Prefix + name, Value: raw}); err != nil {
		return fmt.Errorf("writing %s %q: %w", c.Kind, name, err)
	}
	return nil
}

// Delete removes a record; one that does not exist is no error.
func (c Collection[T]) Delete(ctx context.Context, s logical.Storage, name string) error {
	if err := s.Delete(ctx, c.Prefix+name); err != nil {
		return fmt.Errorf("deleting %s %q: %w", c.Kind, name, err)
	}
	return nil
}

// List gives the names directly below a sub-prefix of the collection ("" or
// one that ends with a slash), in order; a name with records below it ends
// with a slash. On raft it costs as much as there are records at any depth
// below: never list what grows.
func (c Collection[T]) List(ctx context.Context, s logical.Storage, below string) ([]string, error) {
	names, err := s.List(ctx, c.Prefix+below)
	if err != nil {
		return nil, fmt.Errorf("listing %s records: %w", c.Kind, err)
	}
	return names, nil
}
