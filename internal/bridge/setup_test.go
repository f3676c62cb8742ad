package bridge

import (
	"slices"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// TestRegister does what "vault plugin register" does: it sets the plugin up with
// nothing, no storage, no view of the system, and asks for version and type.
func TestRegister(t *testing.T) {
	t.Parallel()
	b, err := startProcess(t).dispense()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Setup(t.Context(), &logical.BackendConfig{}); err != nil {
		t.Fatalf("setting up with nothing: %v", err)
	}
	if got := b.(logical.PluginVersioner).PluginVersion().Version; got != version {
		t.Errorf("the version is %q, want %q", got, version)
	}
	if got := b.Type(); got != logical.TypeLogical {
		t.Errorf("the type is %v, want that of a secrets engine", got)
	}
	b.Cleanup(t.Context())
}

// TestSecretsAreSealWrapped: which paths are is told to Vault once, over the wire.
func TestSecretsAreSealWrapped(t *testing.T) {
	t.Parallel()
	m := startProcess(t).mount(t)
	wrapped := m.backend.SpecialPaths().SealWrapStorage
	for _, prefix := range []string{"acme-account/", "order-key/"} {
		if !slices.Contains(wrapped, prefix) {
			t.Errorf("%q is not seal-wrapped; these are: %q", prefix, wrapped)
		}
	}
}

// TestExistenceCheck: policies tell creations from updates by it.
func TestExistenceCheck(t *testing.T) {
	t.Parallel()
	m := startProcess(t).mount(t)
	ask := func(path string) (check, exists bool) {
		t.Helper()
		check, exists, err := m.backend.HandleExistenceCheck(t.Context(), &logical.Request{Operation: logical.CreateOperation, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return check, exists
	}
	if check, exists := ask("role/web"); !check || exists {
		t.Errorf("a role that does not exist: checked %t, exists %t", check, exists)
	}
	if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: "role/web", Value: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if check, exists := ask("role/web"); !check || !exists {
		t.Errorf("a role that exists: checked %t, exists %t", check, exists)
	}
	if check, _ := ask("role/web/new-order"); check {
		t.Error("an order is always new, and yet its existence is checked")
	}
}
