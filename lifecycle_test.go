package pkiexternalca

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
)

// TestFactoryWithoutAHost: when a plugin is registered Vault makes a backend with
// neither storage nor system view, to ask for its version.
func TestFactoryWithoutAHost(t *testing.T) {
	t.Parallel()
	b, err := Factory(t.Context(), &logical.BackendConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Type() != logical.TypeLogical || b.(logical.PluginVersioner).PluginVersion().Version != Version {
		t.Errorf("the backend is of type %s and version %v", b.Type(), b.(logical.PluginVersioner).PluginVersion())
	}
	if special := b.SpecialPaths(); len(special.SealWrapStorage) == 0 || !slices.Equal(special.Unauthenticated, []string{".well-known/acme-challenge/+"}) {
		t.Errorf("the special paths are %+v", special)
	}
	b.Cleanup(t.Context())
}

// TestMayWrite: the node that works is the one that may write, and only if it
// knows that it may.
func TestMayWrite(t *testing.T) {
	t.Parallel()
	const alone = consts.ReplicationPerformanceDisabled | consts.ReplicationDRDisabled
	for _, row := range []struct {
		reason string
		state  consts.ReplicationState
		local  bool
		may    bool
	}{
		{"Community Edition", alone, false, true},
		{"the state could not be asked for", consts.ReplicationUnknown, false, false},
		{"the state could not be asked for, on a local mount", consts.ReplicationUnknown, true, false},
		{"a performance primary", consts.ReplicationPerformancePrimary | consts.ReplicationDRDisabled, false, true},
		{"a primary of both", consts.ReplicationPerformancePrimary | consts.ReplicationDRPrimary, false, true},
		{"a performance secondary: its primary works", consts.ReplicationPerformanceSecondary | consts.ReplicationDRDisabled, false, false},
		{"a performance secondary whose mount is its own", consts.ReplicationPerformanceSecondary | consts.ReplicationDRDisabled, true, true},
		{"a standby that answers reads", alone | consts.ReplicationPerformanceStandby, false, false},
		{"such a standby with a local mount", alone | consts.ReplicationPerformanceStandby, true, false},
		{"disaster recovery", consts.ReplicationDRSecondary, false, false},
		{"disaster recovery with a local mount", consts.ReplicationDRSecondary, true, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m := newMount(t, func(m *mount) { m.system.ReplicationStateVal, m.system.LocalMountVal = row.state, row.local })
			m.periodic()
			if m.b.mayWrite() != row.may || m.works() != row.may {
				t.Errorf("mayWrite is %t, and the engine runs: %t; want %t", m.b.mayWrite(), m.works(), row.may)
			}
		})
	}
}

// works tells whether the engine runs.
func (m *mount) works() bool {
	m.b.lifecycle.mu.Lock()
	defer m.b.lifecycle.mu.Unlock()
	return m.b.lifecycle.engines.orders != nil
}

// periodic is Vault's tick.
func (m *mount) periodic() {
	m.t.Helper()
	if _, err := m.b.HandleRequest(m.t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: m.storage}); err != nil {
		m.t.Errorf("the tick failed: %v", err)
	}
}

// TestPeriodic starts the engine where it should run and does not, and stops it
// where it must not.
func TestPeriodic(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	state := m.system.ReplicationStateVal
	for _, row := range []struct {
		reason  string
		state   consts.ReplicationState
		tainted bool
		works   bool
	}{
		{"all is well", state, false, true},
		{"the node has stepped down", state | consts.ReplicationPerformanceStandby, false, false},
		{"and up again", state, false, true},
		{"the host does not answer", 0, false, false},
		{"and answers again", state, false, true},
		{"the mount is being disabled", state, true, false},
		{"which failed", state, false, true},
	} {
		m.system.ReplicationStateVal, m.system.TaintedVal = row.state, row.tainted
		m.periodic()
		m.periodic()
		if m.works() != row.works {
			t.Errorf("%s: the engine runs: %t, want %t", row.reason, m.works(), row.works)
		}
	}
	m.obtain(fields{"identifiers": "www.example.com"})
}

// TestPeriodicRevivesTheWork: an order that was made while the engine was stopped
// goes on with the tick.
func TestPeriodicRevivesTheWork(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.b.stop(false)
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "new")
	m.periodic()
	m.report(id)
	m.awaitStatus("web", id, "completed")
}

// TestClean: it ends soon, whatever the CA does, and nothing is written after it.
func TestClean(t *testing.T) {
	t.Parallel()
	for _, at := range []acmetest.Resource{acmetest.NewOrder, acmetest.Authorization, acmetest.Challenge, acmetest.Finalize, acmetest.Certificate} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			storage := &frail{Storage: &logical.InmemStorage{}}
			ca := acmetest.Script(t)
			m := mountOn(t, storage)
			m.withAccount(ca.DirectoryURL, ca.TrustedCA)
			m.withRole(nil)
			ca.On(at, acmetest.Hang())
			id := m.order(fields{"identifiers": "www.example.com"})
			if at != acmetest.NewOrder && at != acmetest.Authorization {
				m.report(id)
			}
			eventually(t, "the CA to be asked", func() bool { return ca.Count(at) > 0 })
			stopped := m.b.lifecycle.stopped
			ended := make(chan struct{})
			go func() {
				m.b.Cleanup(context.Background())
				close(ended)
			}()
			eventually(t, "the cleanup to end", func() bool { return isClosed(ended) })
			before := storage.count()
			m.b.Cleanup(context.Background()) // twice does no harm
			eventually(t, "the engine to end", func() bool { return isClosed(stopped) })
			m.b.start(storage) // a tick that comes late
			if m.works() || storage.count() != before {
				t.Errorf("after the cleanup there were %d writes, and the engine runs: %t", storage.count()-before, m.works())
			}
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestStandbys: what a standby cannot answer by itself is left to the active node.
func TestStandbys(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	id, _ := m.obtain(fields{"identifiers": "www.example.com"})
	standby := mountOn(t, m.storage, func(m *mount) { m.system.ReplicationStateVal |= consts.ReplicationPerformanceStandby })
	standby.read("config/acme-account/ca", nil)
	standby.read("role/web", nil)
	standby.read(cached, fields{"identifiers": "www.example.com"})
	standby.write(issue, fields{"identifiers": "www.example.com"})
	standby.list("role", nil)
	for _, row := range []struct {
		op   logical.Operation
		path string
	}{
		{logical.UpdateOperation, newOrder},
		{logical.UpdateOperation, issue}, // of what is not there yet
		{logical.UpdateOperation, "role/web"},
		{logical.DeleteOperation, "role/web"},
		{logical.UpdateOperation, "config/acme-account/ca"},
		{logical.UpdateOperation, "role/web/order/" + id + "/revoke"},
		{logical.ReadOperation, "role/web/order/" + id + "/status"}, // as it is now
	} {
		req := &logical.Request{Operation: row.op, Path: row.path, Storage: m.storage, Data: fields{"identifiers": "new.example.com"}}
		if _, err := standby.b.HandleRequest(t.Context(), req); !errors.Is(err, logical.ErrReadOnly) {
			t.Errorf("%s %s: the error %v does not send the request on", row.op, row.path, err)
		}
	}
}

// TestReadOnlyStorage: the error comes over the plugin protocol as text alone, and
// Vault sends the request on only if it gets the error itself.
func TestReadOnlyStorage(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	req := &logical.Request{
		Operation: logical.UpdateOperation, Path: newOrder, Data: fields{"identifiers": "www.example.com"},
		Storage: readOnly{m.storage},
	}
	if _, err := m.b.HandleRequest(t.Context(), req); err != logical.ErrReadOnly { //nolint:errorlint // identity is what the protocol keeps
		t.Errorf("the error is %v", err)
	}
}

// readOnly is a storage as a plugin sees that of a standby.
type readOnly struct{ logical.Storage }

// Put implements logical.Storage.
func (readOnly) Put(context.Context, *logical.StorageEntry) error {
	return errors.New("rpc error: " + logical.ErrReadOnly.Error())
}

// TestPanicsStayInside: a panic would end the process, and every mount with it.
func TestPanicsStayInside(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	broken := *m
	broken.storage = panicky{m.storage}
	broken.refused(http.StatusInternalServerError, logical.ReadOperation, "role/other", nil, "server's log") // not remembered
	if next := m.b.work(t.Context(), panicky{m.storage}, "x", &engine.Lane{}); !next.After(m.now()) {
		t.Errorf("after a panic work goes on at %s", next)
	}
}

// panicky is a storage with a fault in it.
type panicky struct{ logical.Storage }

// Get implements logical.Storage.
func (panicky) Get(context.Context, string) (*logical.StorageEntry, error) { panic("a fault") }
