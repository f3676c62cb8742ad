package pkiexternalca

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// TestNoSecretIsRemembered: a prefix whose values are sealed once more in storage
// has no place in a cache.
func TestNoSecretIsRemembered(t *testing.T) {
	t.Parallel()
	for _, prefix := range remembered {
		for _, secret := range sealWrapped {
			if strings.HasPrefix(prefix, secret) || strings.HasPrefix(secret, prefix) {
				t.Errorf("records below %s are remembered, those below %s are secrets", prefix, secret)
			}
		}
	}
}

// TestNoHandlerHasTheBareStorage looks from the place where all paths are: the
// storage that a request brings is behind the cache for each of them.
func TestNoHandlerHasTheBareStorage(t *testing.T) {
	t.Parallel()
	m, calls := newMount(t), 0
	probe := func(req *logical.Request) {
		if calls++; req.Storage == m.storage {
			t.Errorf("%s has the storage without the cache", req.Operation)
		}
	}
	handle := func(_ context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
		probe(req)
		return nil, nil
	}
	operations := map[logical.Operation]framework.OperationHandler{}
	verbs := []logical.Operation{logical.CreateOperation, logical.UpdateOperation, logical.ReadOperation, logical.ListOperation, logical.DeleteOperation}
	for _, verb := range verbs {
		operations[verb] = &framework.PathOperation{Callback: handle}
	}
	m.b.Paths = []*framework.Path{{
		Pattern: "probe", Operations: operations,
		ExistenceCheck: func(_ context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
			probe(req)
			return false, nil
		},
	}}
	m.b.PeriodicFunc = func(_ context.Context, req *logical.Request) error {
		probe(req)
		return nil
	}
	for _, verb := range append(verbs, logical.RollbackOperation) {
		req := &logical.Request{Operation: verb, Path: "probe", Storage: m.storage}
		if _, err := m.b.HandleRequest(t.Context(), req); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
		if req.Storage != m.storage {
			t.Errorf("%s changed the caller's request", verb)
		}
	}
	if _, _, err := m.b.HandleExistenceCheck(t.Context(), &logical.Request{Operation: logical.CreateOperation, Path: "probe", Storage: m.storage}); err != nil {
		t.Error(err)
	}
	if calls != len(verbs)+2 {
		t.Errorf("%d calls were looked at, want %d", calls, len(verbs)+2)
	}
}

// readsOf is a storage that counts how often a record is read.
type readsOf struct {
	logical.Storage
	key  string
	gets atomic.Int64
}

// Get implements logical.Storage.
func (r *readsOf) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if key == r.key {
		r.gets.Add(1)
	}
	return r.Storage.Get(ctx, key)
}

// TestWhereRecordsAreRemembered: on the node that works alone, because it makes
// every change itself; and nowhere if Vault's operator wants no caches.
func TestWhereRecordsAreRemembered(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		change option
		after  func(*mount)
		gets   int64 // of a role that is read once more
	}{
		{"the node works", nil, func(*mount) {}, 0},
		{"the operator wants no caches", func(m *mount) { m.system.CachingDisabledVal = true }, func(*mount) {}, 1},
		{"a standby may hear late of a change", func(m *mount) { m.system.ReplicationStateVal |= consts.ReplicationPerformanceStandby }, func(*mount) {}, 1},
		{"the work has ended, another node may write", nil, func(m *mount) { m.b.stop(false) }, 1},
		{"the work goes on, what was known before is forgotten", nil, func(m *mount) { m.b.stop(false); m.periodic() }, 1},
		{"another node has changed it", nil, func(m *mount) { m.b.InvalidateKey(m.t.Context(), "role/web") }, 1},
		{"another node has changed another", nil, func(m *mount) { m.b.InvalidateKey(m.t.Context(), "role/other") }, 0},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			first, _ := withFakeCA(t)
			first.withRole(nil)
			first.unmount()
			storage := &readsOf{Storage: first.storage, key: roles.Prefix + "web"}
			options := slices.DeleteFunc([]option{row.change}, func(o option) bool { return o == nil })
			m := mountOn(t, storage, options...)
			m.read("role/web", nil)
			row.after(m)
			before := storage.gets.Load()
			m.read("role/web", nil)
			if gets := storage.gets.Load() - before; gets != row.gets {
				t.Errorf("the role was read %d times from storage, want %d", gets, row.gets)
			}
		})
	}
}
