package bridge

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// storage is what the host stores for a mount.
type storage struct {
	logical.InmemStorage
	writes atomic.Int64
	// beforeWrite, when set, is told of each write and may refuse it.
	beforeWrite atomic.Pointer[func() error]
}

// Put implements logical.Storage.
func (s *storage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if err := s.write(); err != nil {
		return err
	}
	return s.InmemStorage.Put(ctx, entry)
}

// Delete implements logical.Storage.
func (s *storage) Delete(ctx context.Context, key string) error {
	if err := s.write(); err != nil {
		return err
	}
	return s.InmemStorage.Delete(ctx, key)
}

func (s *storage) write() error {
	s.writes.Add(1)
	if refuse := s.beforeWrite.Load(); refuse != nil {
		return (*refuse)()
	}
	return nil
}

// system is what the host says of itself.
type system struct {
	logical.StaticSystemView
	replication atomic.Uint32
}

// leads is what a server says of itself that is the only one.
const leads = consts.ReplicationPerformanceDisabled | consts.ReplicationDRDisabled

func newSystem() *system {
	s := &system{}
	s.become(leads)
	return s
}

func (s *system) become(state consts.ReplicationState) { s.replication.Store(uint32(state)) }

// ReplicationState implements logical.SystemView.
func (s *system) ReplicationState() consts.ReplicationState {
	return consts.ReplicationState(s.replication.Load())
}

// EntityInfo implements logical.SystemView: an entity is called as its id is.
func (s *system) EntityInfo(id string) (*logical.Entity, error) {
	return &logical.Entity{ID: id, Name: id}, nil
}

// GroupsForEntity implements logical.SystemView: nobody is in a group.
func (s *system) GroupsForEntity(string) ([]*logical.Group, error) { return nil, nil }

// mount is a mount of the plugin as the host sees it.
type mount struct {
	t       testing.TB
	backend logical.Backend
	storage *storage
	system  *system
}

// mount makes a mount with a storage of its own.
func (p *process) mount(t testing.TB) *mount {
	t.Helper()
	return p.mountOn(t, &storage{}, newSystem())
}

// mountOn makes a mount as Vault does: set up, then initialize.
func (p *process) mountOn(t testing.TB, s *storage, sys *system) *mount {
	t.Helper()
	b, err := p.dispense()
	if err != nil {
		t.Fatal(err)
	}
	conf := &logical.BackendConfig{StorageView: s, System: sys, Logger: hclog.NewNullLogger(), BackendUUID: "bridge"}
	if err := b.Setup(t.Context(), conf); err != nil {
		t.Fatalf("setting up: %v", err)
	}
	if err := b.Initialize(t.Context(), &logical.InitializationRequest{Storage: s}); err != nil {
		t.Fatalf("initializing: %v", err)
	}
	return &mount{t: t, backend: b, storage: s, system: sys}
}

// answer is what a client of Vault would be told.
type answer struct {
	status  int
	data    map[string]any
	problem string
}

// request is what a client asks. Op is ReadOperation if empty.
type request struct {
	op     logical.Operation
	path   string
	data   map[string]any
	entity string
}

// send makes a request as Vault does: a write is a creation or an update, as the
// existence check says, and the answer's status is told from what comes back.
func (m *mount) send(ctx context.Context, r request) answer {
	req := &logical.Request{Operation: r.op, Path: r.path, Data: maps.Clone(r.data), EntityID: r.entity, MountPoint: "pki-external-ca/"}
	if req.Operation == "" {
		req.Operation = logical.ReadOperation
	}
	if req.Operation == logical.UpdateOperation {
		check, exists, err := m.backend.HandleExistenceCheck(ctx, req)
		if err == nil && check && !exists {
			req.Operation = logical.CreateOperation
		}
	}
	resp, err := m.backend.HandleRequest(ctx, req)
	a := answer{status: http.StatusOK}
	if status, problem := logical.RespondErrorCommon(req, resp, err); status != 0 {
		a.status = status
		if problem != nil {
			logical.AdjustErrorStatusCode(&a.status, problem)
			a.problem = problem.Error()
		}
		return a
	}
	if resp == nil {
		a.status = http.StatusNoContent
		return a
	}
	a.data = resp.Data
	return a
}

// ok makes a request that must succeed.
func (m *mount) ok(r request) map[string]any {
	m.t.Helper()
	a := m.send(m.t.Context(), r)
	if a.status != http.StatusOK && a.status != http.StatusNoContent {
		m.t.Fatalf("%s %s: status %d: %s", r.op, r.path, a.status, a.problem)
	}
	return a.data
}

func (m *mount) write(path string, data map[string]any) map[string]any {
	m.t.Helper()
	return m.ok(request{op: logical.UpdateOperation, path: path, data: data})
}

func (m *mount) read(path string) map[string]any {
	m.t.Helper()
	return m.ok(request{path: path})
}

// configure makes the account "ca" and the role "web".
func (m *mount) configure(directoryURL string, trustedCA []byte) {
	m.t.Helper()
	m.write("config/acme-account/ca", map[string]any{
		"directory_url": directoryURL, "trusted_ca": string(trustedCA), "email_contacts": []string{"admin@example.com"},
	})
	m.write("role/web", map[string]any{
		"acme_account_name": "ca", "allowed_domains": []string{"example.com"}, "allowed_domain_options": []string{"bare_domains", "subdomains"},
	})
}

// order places an order and gives its path.
func (m *mount) order(names ...string) string {
	m.t.Helper()
	id, ok := m.write("role/web/new-order", map[string]any{"identifiers": names})["order_id"].(string)
	if !ok {
		m.t.Fatal("the answer has no order_id that is a text")
	}
	return "role/web/order/" + id
}

// await waits until an order has a status.
func (m *mount) await(order, want string) {
	m.t.Helper()
	eventually(m.t, order+" to be "+want, func() bool {
		data := m.read(order + "/status")
		if got := data["order_status"]; got != want && (got == "error" || got == "expired") {
			m.t.Fatalf("%s is %s, want %s: %s", order, got, want, data["last_error"])
		}
		return data["order_status"] == want
	})
}

// report says that a challenge is in place, for a CA that does not look.
func (m *mount) report(order, name string) {
	m.t.Helper()
	m.write(order+"/fulfilled-challenge", map[string]any{"identifier": name, "challenge_type": "http-01"})
}

// obtain gets a certificate from a CA that does not look at challenges.
func (m *mount) obtain(name string) map[string]any {
	m.t.Helper()
	order := m.order(name)
	m.await(order, "awaiting-challenge-fulfillment")
	m.report(order, name)
	m.await(order, "completed")
	return m.read(order + "/fetch-cert")
}

// contains tells whether a text has all the words.
func contains(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
