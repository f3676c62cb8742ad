package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// enterprise is the description of the engine whose clients must work here unchanged.
const enterprise = "testdata/enterprise-2.1.openapi.json"

// differences are the only facts of that description that do not hold here.
var differences = []struct {
	where  string // beginning of what the fact is about
	reason string
}{
	{
		"/{pki_external_ca_mount_path}/config/acme-account/{name}/rotate-key post response 204",
		"the sources disagree between 200 and 204: here it is 200, and says what was rotated",
	},
}

// TestOpenAPI compares what the running engine says of itself with the description, fact by fact. That the
// engine says more is fine.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(enterprise)
	if err != nil {
		t.Fatal(err)
	}
	want, got := factsOf(t, text), factsOf(t, runningSpec(t))
	held, total, used := map[string]int{}, map[string]int{}, map[string]int{}
	for _, f := range slices.SortedFunc(maps.Keys(want), func(a, b fact) int { return strings.Compare(a.String(), b.String()) }) {
		if where := exempt(f); where != "" {
			used[where]++
			continue
		}
		total[f.kind]++
		if value, there := got[f]; !there {
			t.Errorf("%s: missing, want %s", f, want[f])
		} else if value != want[f] {
			t.Errorf("%s: %s, want %s", f, value, want[f])
		} else {
			held[f.kind]++
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%s: %d of %d", kind, held[kind], total[kind])
	}
	for _, d := range differences {
		if used[d.where] == 0 {
			t.Errorf("no fact is left that needs the exception for %s", d.where)
		}
		t.Logf("%d facts excepted: %s: %s", used[d.where], d.where, d.reason)
	}
}

func exempt(f fact) string {
	for _, d := range differences {
		if strings.HasPrefix(f.where, d.where) {
			return d.where
		}
	}
	return ""
}

// runningSpec is the description that Vault makes of its mounts.
func runningSpec(t *testing.T) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		shared.Vault.Addr+"/v1/sys/internal/specs/openapi?generic_mount_paths=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", shared.Vault.Token)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %.200s: %v", response.Status, text, err)
	}
	return text
}

// fact is one thing that a description says.
type fact struct {
	kind  string // path, operation, parameter, body or field
	where string // path, then operation, then status; or the name of an object
	what  string // name of the field, and of its attribute
}

func (f fact) String() string { return strings.TrimSpace(f.kind + " " + f.where + " " + f.what) }

// spec is as much of an OpenAPI document as is compared. Sentences are not: they are each author's own.
type spec struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Default    any               `json:"default"`
	Enum       []any             `json:"enum"`
	Items      *schema           `json:"items"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Display    map[string]any    `json:"x-vault-displayAttrs"`
}

type parameter struct {
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
	Schema   schema `json:"schema"`
}

type content struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

type operation struct {
	ID          string             `json:"operationId"`
	Tags        []string           `json:"tags"`
	Parameters  []parameter        `json:"parameters"`
	RequestBody *content           `json:"requestBody"`
	Responses   map[string]content `json:"responses"`
}

// facts collects what a description says.
type facts struct {
	t    *testing.T
	spec spec
	said map[fact]string
}

func factsOf(t *testing.T, text []byte) map[fact]string {
	t.Helper()
	f := facts{t: t, said: map[fact]string{}}
	f.decode(text, &f.spec)
	for path, item := range f.spec.Paths {
		f.said[fact{"path", path, ""}] = "there"
		for key, value := range item {
			f.path(path, key, value)
		}
	}
	for name, object := range f.spec.Components.Schemas {
		f.object(name, object)
	}
	return f.said
}

func (f facts) decode(text []byte, into any) {
	f.t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		f.t.Fatal(err)
	}
}

// path adds one member of a path item: an operation, the parameters, or a flag.
func (f facts) path(path, key string, value json.RawMessage) {
	switch key {
	case "description":
	case "parameters":
		var list []parameter
		f.decode(value, &list)
		f.parameters(path, list)
	case "get", "post", "delete":
		var o operation
		f.decode(value, &o)
		f.operation(path+" "+key, o)
	default:
		f.said[fact{"path", path, key}] = string(value)
	}
}

func (f facts) operation(where string, o operation) {
	f.said[fact{"operation", where, "operationId"}] = o.ID
	f.said[fact{"operation", where, "tags"}] = fmt.Sprint(o.Tags)
	f.parameters(where, o.Parameters)
	if o.RequestBody != nil {
		f.body(where+" request", *o.RequestBody)
	}
	for status, answer := range o.Responses {
		f.body(where+" response "+status, answer)
	}
}

func (f facts) parameters(where string, list []parameter) {
	for _, p := range list {
		f.said[fact{"parameter", where, p.Name + " in"}] = p.In
		f.said[fact{"parameter", where, p.Name + " required"}] = fmt.Sprint(p.Required)
		f.schema("parameter", where, p.Name, p.Schema)
	}
}

// body adds which object a request or an answer holds.
func (f facts) body(where string, c content) {
	f.said[fact{"body", where, ""}] = "there"
	for media, body := range c.Content {
		f.said[fact{"body", where, media}] = body.Schema.Ref
	}
}

// object adds the fields of a named object.
func (f facts) object(name string, object schema) {
	for _, field := range object.Required {
		f.said[fact{"field", name, field + " required"}] = "true"
	}
	for field, s := range object.Properties {
		f.schema("field", name, field, s)
	}
}

// schema adds the type of a field and whatever else is said of its values.
func (f facts) schema(kind, where, field string, s schema) {
	say := func(attribute string, value any) {
		f.said[fact{kind, where, field + " " + attribute}] = fmt.Sprint(value)
	}
	say("type", s.Type)
	if s.Format != "" {
		say("format", s.Format)
	}
	if s.Default != nil {
		say("default", s.Default)
	}
	if s.Enum != nil {
		say("enum", s.Enum)
	}
	if s.Items != nil {
		say("items", s.Items.Type)
	}
	for name, value := range s.Display {
		say("display "+name, value)
	}
}
