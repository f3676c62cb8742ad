package pkiexternalca

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/store"
)

var update = flag.Bool("update", false, "write the examples of stored records that are missing in testdata/records; those that are there are never changed")

// recordsFolder holds examples of stored records: <version>/<collection>/<example>.
// They lie in somebody's storage in this form, so a file that is there is never
// changed: who changes the shape of a record raises the version of its collection,
// writes how to upgrade, and has new examples written beside the old ones.
const recordsFolder = "testdata/records"

// family is the examples of one collection.
type family struct {
	prefix   string
	examples []string // their names, in no order
	// at is where an example lies below the prefix.
	at func(name string) string
	// write gives an example as the present code stores it.
	write func(ctx context.Context, name string) ([]byte, error)
	// same reads a record, of whatever version, and holds it against an example.
	same func(ctx context.Context, name string, raw []byte) error
}

// example is a record, and the name under which it is stored.
type example[T any] struct {
	at string
	is T
}

func familyOf[T any](c store.Collection[T], examples map[string]example[T]) family {
	f := family{prefix: c.Prefix, at: func(name string) string { return examples[name].at }}
	for name := range examples {
		f.examples = append(f.examples, name)
	}
	f.write = func(ctx context.Context, name string) ([]byte, error) {
		is := examples[name].is
		return written(c.Prefix+"x", func(s logical.Storage) error { return c.Put(ctx, s, "x", &is) })
	}
	f.same = func(ctx context.Context, name string, raw []byte) error {
		s := &logical.InmemStorage{}
		if err := s.Put(ctx, &logical.StorageEntry{Key: c.Prefix + "x", Value: raw}); err != nil {
			return err
		}
		got, err := c.Get(ctx, s, "x")
		if want := examples[name].is; err == nil && !reflect.DeepEqual(*got, want) {
			err = fmt.Errorf("it is read as\n%+v, want\n%+v", *got, want)
		}
		return err
	}
	return f
}

// written gives what a function stores under a key.
func written(key string, put func(logical.Storage) error) ([]byte, error) {
	s := &logical.InmemStorage{}
	if err := put(s); err != nil {
		return nil, err
	}
	entry, err := s.Get(context.Background(), key)
	if err != nil || entry == nil {
		return nil, fmt.Errorf("nothing was stored at %s (%w)", key, err)
	}
	var out bytes.Buffer
	err = json.Indent(&out, entry.Value, "", "  ")
	return append(out.Bytes(), '\n'), err
}

func (f family) file(version int, name string) string {
	return filepath.Join(recordsFolder, fmt.Sprintf("v%d", version), strings.TrimSuffix(f.prefix, "/"), name+".json")
}

// versionOf gives the version of a record as it is stored.
func versionOf(t testing.TB, raw []byte) int {
	t.Helper()
	var envelope struct{ Version int }
	if err := json.Unmarshal(raw, &envelope); err != nil || envelope.Version < 1 {
		t.Fatalf("version %d (%v)", envelope.Version, err)
	}
	return envelope.Version
}

// TestRecords: what any release has stored is read, and says what it said then.
func TestRecords(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range families(t) {
		for _, name := range f.examples {
			now, err := f.write(t.Context(), name)
			if err != nil {
				t.Fatalf("%s%s: %v", f.prefix, name, err)
			}
			current := versionOf(t, now)
			if path := f.file(current, name); *update && !exist(path) {
				writeFile(t, path, now)
			}
			for version := 1; version <= current; version++ {
				path := f.file(version, name)
				known[path] = true
				raw, err := os.ReadFile(path)
				if err != nil && version < current {
					continue // there was no such thing then
				}
				if err == nil {
					err = f.same(t.Context(), name, raw)
				}
				if err != nil {
					t.Errorf("%s: %v\n(go test -run TestRecords . -update writes what is missing)", path, err)
				}
			}
		}
	}
	for _, path := range recordFiles(t) {
		if !known[path] {
			t.Errorf("%s is no example of what there is: what it says must be in the table as long as anybody may have stored it", path)
		}
	}
}

// TestEveryCollectionHasRecords finds the collections in the source.
func TestEveryCollectionHasRecords(t *testing.T) {
	t.Parallel()
	has := map[string]bool{}
	for _, f := range families(t) {
		has[f.prefix] = len(f.examples) > 0
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range collections.FindAllSubmatch(source, -1) {
			if found++; !has[string(match[1])] {
				t.Errorf("%s: the records below %s have no example in records_examples_test.go", file, match[1])
			}
		}
	}
	if found < 12 {
		t.Errorf("only %d collections were found", found)
	}
}

var collections = regexp.MustCompile(`store\.Collection\[[^\n]*\]\{[^\n]*Prefix: "([^"]*)"`)

func exist(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func writeFile(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func recordFiles(t testing.TB) []string {
	t.Helper()
	var out []string
	for depth := range 3 { // a provider's collection is two names
		found, err := filepath.Glob(filepath.Join(recordsFolder, "v*", strings.Repeat("*/", depth)+"*.json"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}
