package docs_test

import (
	"encoding/json"
	"strings"
	"testing"
)

const divergences = "divergences.md"

// shape is what a description says of an operation: the fields of its body and
// those of its answer.
type shape struct{ requests, answers map[string]any }

// openAPI is as much of such a document as is compared.
type openAPI struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

type body struct {
	Content map[string]struct {
		Schema struct {
			Ref string `json:"$ref"`
		} `json:"schema"`
	} `json:"content"`
}

func (o *openAPI) fields(b body) map[string]any {
	name := strings.TrimPrefix(b.Content["application/json"].Schema.Ref, "#/components/schemas/")
	return o.Components.Schemas[name].Properties
}

// enterprise reads the description of HashiCorp's engine.
func enterprise(t *testing.T) map[string]shape {
	t.Helper()
	var api openAPI
	if err := json.Unmarshal([]byte(read(t, "../testbed/acceptance/testdata/enterprise-2.1.openapi.json")), &api); err != nil {
		t.Fatal(err)
	}
	out := map[string]shape{}
	for path, operations := range api.Paths {
		path = strings.TrimPrefix(path, "/{pki_external_ca_mount_path}/")
		for method, raw := range operations {
			var op struct {
				RequestBody body            `json:"requestBody"`
				Responses   map[string]body `json:"responses"`
			}
			if json.Unmarshal(raw, &op) == nil && op.Responses != nil { // else it is not an operation
				out[operationName(method, path)] = shape{api.fields(op.RequestBody), api.fields(op.Responses["200"])}
			}
		}
	}
	return out
}

// operationName writes a method and a path of an OpenAPI document as they are
// written here. A list is a GET of a path that ends with a slash there.
func operationName(method, path string) string {
	if strings.HasSuffix(path, "/") {
		method = "LIST"
	}
	path = strings.NewReplacer("{", ":", "}", "").Replace(strings.TrimSuffix(path, "/"))
	return strings.ToUpper(method) + " " + path
}

func TestEveryDivergenceOfTheAPIIsDocumented(t *testing.T) {
	t.Parallel()
	theirs, ours := enterprise(t), served(t)
	added, missing := map[string]string{}, map[string]string{}
	for name, op := range ours {
		their, known := theirs[name]
		if !known {
			added[name] = ""
			continue
		}
		for field := range op.answers {
			if _, known := their.answers[field]; !known {
				added[name+" "+field] = ""
			}
		}
	}
	for name := range theirs {
		if _, known := ours[name]; !known {
			missing[name] = ""
		}
	}
	compare(t, divergences, "the list of additions", listed(t, providersOf(theirs)), added)
	compare(t, divergences, "the list of what is not served", nil, missing)
}

// providersOf names the types of DNS provider that a description has.
func providersOf(operations map[string]shape) []string {
	var out []string
	for name := range operations {
		if kind, ok := strings.CutPrefix(name, "LIST config/dns/"); ok {
			out = append(out, kind)
		}
	}
	return out
}

// listed reads the tables of additions: the operations of the first column, each
// with the fields of the second, or alone where it has none. An operation on
// ":type" stands for that on each of their types of DNS provider. A type that is
// added has all operations on a type.
func listed(t *testing.T, theirs []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, row := range rows(t, divergences, "added to") {
		fields := ticked(row[1])
		for _, operation := range eachType(ticked(row[0]), theirs) {
			if len(fields) == 0 {
				out[operation] = ""
			}
			for _, field := range fields {
				out[operation+" "+field] = ""
			}
		}
	}
	for _, row := range rows(t, divergences, "added type") {
		provider := "config/dns/:type/:name"
		for _, operation := range eachType([]string{"LIST config/dns/:type", "GET " + provider, "POST " + provider, "DELETE " + provider}, ticked(row[0])) {
			out[operation] = ""
		}
	}
	return out
}

func eachType(operations, kinds []string) []string {
	var out []string
	for _, operation := range operations {
		if !strings.Contains(operation, ":type") {
			out = append(out, operation)
			continue
		}
		for _, kind := range kinds {
			out = append(out, strings.Replace(operation, ":type", kind, 1))
		}
	}
	return out
}

// TestNothingOfEnterpriseIsDropped holds the promise to its clients: what is
// served has every field that they may send or read.
func TestNothingOfEnterpriseIsDropped(t *testing.T) {
	t.Parallel()
	ours := served(t)
	for name, their := range enterprise(t) {
		op, known := ours[name]
		if !known {
			continue
		}
		deletion := ours["DELETE "+strings.TrimPrefix(name, "POST ")] // takes as a query what its POST ignores
		for field := range their.requests {
			if op.requests[field] == "" && deletion.requests[field] == "" {
				t.Errorf("%s does not take %q", name, field)
			}
		}
		for field := range their.answers {
			if op.answers[field] == "" {
				t.Errorf("%s does not answer with %q", name, field)
			}
		}
	}
}
