package docs_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	pkiexternalca "vault-plugin-secrets-pki-external-ca"
)

// mountPath is where every example has the engine.
const mountPath = "pki-external-ca/"

// operationDoc is what there is to say of one operation.
type operationDoc struct {
	match    *regexp.Regexp    // of the paths it serves
	requests map[string]string // field: "type, default"
	answers  map[string]string // field: "type"
}

var methods = map[logical.Operation]string{
	logical.CreateOperation: "POST", logical.UpdateOperation: "POST", logical.ReadOperation: "GET",
	logical.ListOperation: "LIST", logical.DeleteOperation: "DELETE",
}

var typeNames = map[framework.FieldType]string{
	framework.TypeString: "string", framework.TypeTime: "string", framework.TypeBool: "boolean",
	framework.TypeInt: "integer", framework.TypeInt64: "integer", framework.TypeDurationSecond: "duration",
	framework.TypeCommaStringSlice: "list", framework.TypeStringSlice: "list", framework.TypeSlice: "list", framework.TypeMap: "map",
}

// served describes every operation of the backend by its method and path, as in
// "POST role/:name".
func served(t *testing.T) map[string]operationDoc {
	t.Helper()
	out := map[string]operationDoc{}
	for _, p := range paths(t) {
		for verb, h := range p.Operations {
			if h.Properties().Unpublished { // it only says what to do instead
				continue
			}
			op := operationDoc{
				match:    regexp.MustCompile("^" + strings.Trim(p.Pattern, "^$") + "$"),
				requests: map[string]string{}, answers: map[string]string{},
			}
			for name, schema := range p.Fields {
				if takes(p, verb, name, schema) {
					op.requests[name] = typeNames[schema.Type] + ", " + defaultOf(schema)
				}
			}
			for name, schema := range answersOf(verb, h) {
				op.answers[name] = typeNames[schema.Type]
			}
			out[methods[verb]+" "+pathOf(p)] = op
		}
	}
	return out
}

// pathOf writes a pattern as a path with ":name" for what is captured.
func pathOf(p *framework.Path) string {
	path := strings.ReplaceAll(p.Pattern, `\.`, ".")
	for name := range p.Fields {
		path = strings.ReplaceAll(path, framework.GenericNameRegex(name), ":"+name)
		path = strings.ReplaceAll(path, "(?P<"+name+">[^/]+)", ":"+name)
	}
	return strings.TrimSuffix(strings.Trim(path, "^$"), "/?")
}

// takes tells which operation of a path a field is for. All have what is
// captured; what comes as a query belongs to the deletion where there is one beside
// a write, else to all that has a query; the rest is for the write.
func takes(p *framework.Path, verb logical.Operation, name string, schema *framework.FieldSchema) bool {
	_, deletes := p.Operations[logical.DeleteOperation]
	_, writes := p.Operations[logical.UpdateOperation]
	switch {
	case strings.Contains(p.Pattern, "<"+name+">"):
		return true
	case schema.Query && deletes && writes:
		return verb == logical.DeleteOperation
	case schema.Query:
		return methods[verb] != "POST"
	}
	return methods[verb] == "POST"
}

func defaultOf(schema *framework.FieldSchema) string {
	switch value := schema.Default.(type) {
	case nil:
		if schema.Required {
			return "required"
		}
		return ""
	case []string:
		return strings.Join(value, ",")
	default:
		return fmt.Sprint(value)
	}
}

func answersOf(verb logical.Operation, h framework.OperationHandler) map[string]*framework.FieldSchema {
	if ok := h.Properties().Responses[200]; len(ok) > 0 {
		return ok[0].Fields
	}
	if verb == logical.ListOperation { // as the framework documents a list by itself
		return map[string]*framework.FieldSchema{"keys": {Type: framework.TypeStringSlice}}
	}
	return nil
}

// paths gives the backend's paths. Vault is shown them only through requests for
// help, which leave out what is required.
func paths(t *testing.T) []*framework.Path {
	t.Helper()
	b, err := pkiexternalca.Factory(t.Context(), logical.TestBackendConfig())
	if err != nil {
		t.Fatal(err)
	}
	return reflect.ValueOf(b).Elem().FieldByName("Backend").Interface().(*framework.Backend).Paths
}
