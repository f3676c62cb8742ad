package docs_test

import (
	"strings"
	"testing"
)

// DNS providers of all types are served alike, so the document describes them
// together: one heading for each operation, with ":type" in its path, a table of
// the types, a table of the fields that every type has, and for each type, under
// a heading of its name, a table of its own fields.

// providerType is a row of the table of types.
type providerType struct{ name, ttl string }

func providerTypes(t *testing.T) []providerType {
	t.Helper()
	var out []providerType
	for _, row := range rows(t, apiDocument, "type") {
		out = append(out, providerType{ticked(row[0])[0], strings.Trim(row[2], "`")})
	}
	if len(out) == 0 {
		t.Errorf("%s has no table of the types of DNS providers", apiDocument)
	}
	return out
}

// complete adds to an operation on a provider the fields of all providers and
// those of its type.
func (k providerType) complete(t *testing.T, method, path string, op operationDoc) operationDoc {
	t.Helper()
	if !strings.HasSuffix(path, "/:name") {
		return op
	}
	for _, s := range sections(t, apiDocument) {
		if s.heading != k.name && s.heading != "Fields of every type" {
			continue
		}
		for _, table := range s.tables {
			k.add(op, method, table)
		}
	}
	return op
}

// add takes over a table of fields. Its column "shown" says "yes", "never" of
// what is sent only, and "only" of what is shown only.
func (k providerType) add(op operationDoc, method string, table [][]string) {
	if table[0][0] != "provider field" {
		return
	}
	for _, row := range table[1:] {
		name, typ, shown := strings.Trim(row[0], "`"), row[1], row[3]
		byDefault := strings.Trim(strings.ReplaceAll(row[2], "by type", k.ttl), "`")
		if method == "POST" && shown != "only" {
			op.requests[name] = typ + ", " + byDefault
		}
		if method != "DELETE" && shown != "never" {
			op.answers[name] = typ
		}
	}
}
