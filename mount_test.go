package pkiexternalca

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/testhelpers/schema"
	"github.com/hashicorp/vault/sdk/logical"
)

// patience is how long tests wait for something that should happen.
const patience = time.Minute

// mount is a mounted secrets engine as a client sees it, in process.
type mount struct {
	t       testing.TB
	b       *backend
	storage logical.Storage
	system  *host
	log     hclog.Logger
	// now is the clock of the engine.
	now func() time.Time
	// storagePause is how long work rests when storage fails.
	storagePause time.Duration
	// tidyRest is how long the deletion of old orders rests between its steps.
	tidyRest time.Duration
	// jitter spreads what the engine does.
	jitter func() float64
	// entity is who sends the requests.
	entity string
	// heard is told everything that a client gets to see.
	heard func(text string)
}

// host is what the engine sees of Vault.
type host struct {
	logical.StaticSystemView
	entities map[string]*logical.Entity
	groups   map[string][]*logical.Group
}

// EntityInfo implements logical.SystemView.
func (h *host) EntityInfo(id string) (*logical.Entity, error) { return h.entities[id], nil }

// GroupsForEntity implements logical.SystemView.
func (h *host) GroupsForEntity(id string) ([]*logical.Group, error) { return h.groups[id], nil }

// option changes a mount before it is set up.
type option func(*mount)

// newMount mounts the engine and starts its work.
func newMount(t testing.TB, options ...option) *mount {
	t.Helper()
	return mountOn(t, &logical.InmemStorage{}, options...)
}

// mountOn mounts the engine on a storage, as Vault does after a restart.
func mountOn(t testing.TB, s logical.Storage, options ...option) *mount {
	t.Helper()
	m := &mount{t: t, storage: s, log: hclog.NewNullLogger(), now: time.Now, jitter: rand.Float64, storagePause: 20 * time.Millisecond, tidyRest: time.Second, system: &host{
		StaticSystemView: logical.StaticSystemView{
			ReplicationStateVal: consts.ReplicationPerformanceDisabled | consts.ReplicationDRDisabled,
			PluginEnvironment:   &logical.PluginEnvironment{},
		},
	}}
	for _, change := range options {
		change(m)
	}
	m.b = newBackend(func() time.Time { return m.now() })
	m.b.storagePause, m.b.tidyRest, m.b.jitter = m.storagePause, m.tidyRest, m.jitter
	conf := &logical.BackendConfig{Logger: m.log, System: m.system, StorageView: m.storage}
	if err := m.b.Setup(t.Context(), conf); err != nil {
		t.Fatalf("setting up: %v", err)
	}
	if err := m.b.Initialize(t.Context(), &logical.InitializationRequest{Storage: m.storage}); err != nil {
		t.Fatalf("initializing: %v", err)
	}
	t.Cleanup(m.unmount)
	return m
}

// unmount ends the engine as Vault does at a seal, a reload or an unmount.
func (m *mount) unmount() { m.b.Cleanup(context.Background()) }

// as is the same mount with requests of another entity.
func (m *mount) as(entity string) *mount {
	other := *m
	other.entity = entity
	return &other
}

// in is the same mount within a subtest.
func (m *mount) in(t testing.TB) *mount {
	other := *m
	other.t = t
	return &other
}

// send makes a request and gives the HTTP status that Vault would answer with.
func (m *mount) send(op logical.Operation, path string, data map[string]any) (*logical.Response, int, string) {
	m.t.Helper()
	req := &logical.Request{Operation: op, Path: path, Data: data, Storage: m.storage, MountPoint: "pki-external-ca/", EntityID: m.entity}
	if op == logical.UpdateOperation {
		if _, exists, err := m.b.HandleExistenceCheck(m.t.Context(), req); err == nil && !exists && m.hasCheck(path) {
			req.Operation = logical.CreateOperation
		}
	}
	resp, err := m.b.HandleRequest(m.t.Context(), req)
	status, problem := logical.RespondErrorCommon(req, resp, err)
	m.listen(path, resp, err)
	switch {
	case status != 0 && problem != nil:
		logical.AdjustErrorStatusCode(&status, problem)
		return resp, status, problem.Error()
	case status != 0:
		return resp, status, ""
	case resp == nil:
		return nil, http.StatusNoContent, ""
	}
	m.validate(req, resp)
	return resp, http.StatusOK, ""
}

// listen holds every answer against the rule that no key is ever shown, except
// where a certificate is delivered with the key that was made for it.
func (m *mount) listen(path string, resp *logical.Response, err error) {
	m.t.Helper()
	text := fmt.Sprint(err)
	if resp != nil {
		shown := maps.Clone(resp.Data)
		if strings.HasSuffix(path, "/fetch-cert") || strings.HasSuffix(path, "/cached") || strings.HasSuffix(path, "/issue") {
			delete(shown, "private_key")
		}
		body, _ := json.Marshal(shown) // whatever does not encode fails in validate
		text += string(body) + fmt.Sprint(resp.Warnings)
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		m.t.Errorf("%s shows a private key: %s", path, text)
	}
	if m.heard != nil {
		m.heard(text)
	}
}

// hasCheck tells which paths know creations.
func (m *mount) hasCheck(path string) bool {
	return strings.HasPrefix(path, "config/acme-account/") && !strings.HasSuffix(path, "/rotate-key") ||
		strings.HasPrefix(path, "role/") && strings.Count(path, "/") == 1
}

// validate holds an answer against the schema that is published for it.
func (m *mount) validate(req *logical.Request, resp *logical.Response) {
	m.t.Helper()
	t, ok := m.t.(*testing.T)
	if !ok {
		return // a benchmark
	}
	want := schema.GetResponseSchema(t, m.b.Route(req.Path), req.Operation)
	schema.ValidateResponse(t, want, resp, true)
}

// ok sends a request that must succeed, and gives the data of its answer.
func (m *mount) ok(op logical.Operation, path string, data map[string]any) map[string]any {
	m.t.Helper()
	resp, status, problem := m.send(op, path, data)
	if status != http.StatusOK && status != http.StatusNoContent {
		m.t.Fatalf("%s %s: status %d: %s", op, path, status, problem)
	}
	if resp == nil {
		return nil
	}
	return resp.Data
}

func (m *mount) write(path string, data map[string]any) map[string]any {
	m.t.Helper()
	return m.ok(logical.UpdateOperation, path, data)
}

func (m *mount) read(path string, data map[string]any) map[string]any {
	m.t.Helper()
	return m.ok(logical.ReadOperation, path, data)
}

func (m *mount) delete(path string, data map[string]any) {
	m.t.Helper()
	m.ok(logical.DeleteOperation, path, data)
}

func (m *mount) list(path string, data map[string]any) []string {
	m.t.Helper()
	resp, status, problem := m.send(logical.ListOperation, path, data)
	if status == http.StatusNotFound {
		return nil
	}
	if status != http.StatusOK {
		m.t.Fatalf("list %s: status %d: %s", path, status, problem)
	}
	keys, _ := resp.Data["keys"].([]string)
	return keys
}

// refused sends a request that must fail with a status and an error that
// contains every one of the texts.
func (m *mount) refused(want int, op logical.Operation, path string, data map[string]any, texts ...string) {
	m.t.Helper()
	_, status, problem := m.send(op, path, data)
	if status != want {
		m.t.Errorf("%s %s: status %d (%s), want %d", op, path, status, problem, want)
		return
	}
	for _, text := range texts {
		if !strings.Contains(problem, text) {
			m.t.Errorf("%s %s: the error %q does not contain %q", op, path, problem, text)
		}
	}
}

// eventually waits until a condition holds. It asks often at first, and then
// leaves the processors to what it waits for.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for pause := 2 * time.Millisecond; !holds(); pause = min(pause*5/4, 100*time.Millisecond) {
		select {
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", patience, what)
		case <-time.After(pause):
		}
	}
}

// awaitStatus waits until an order has a status, and gives its whole answer.
func (m *mount) awaitStatus(role, id, want string) map[string]any {
	m.t.Helper()
	var last map[string]any
	eventually(m.t, "order to be "+want, func() bool {
		last = m.read("role/"+role+"/order/"+id+"/status", nil)
		if got := last["order_status"]; got != want && (got == "error" || got == "expired") {
			m.t.Fatalf("order %s is %s, want %s: %s", id, got, want, last["last_error"])
		}
		return last["order_status"] == want
	})
	return last
}
