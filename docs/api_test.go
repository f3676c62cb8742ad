package docs_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

const apiDocument = "api.md"

func TestEveryOperationIsDocumented(t *testing.T) {
	t.Parallel()
	is, said := served(t), documented(t)
	for _, name := range sorted(said) {
		compare(t, apiDocument, name, said[name].requests, is[name].requests)
		compare(t, apiDocument, "the answer of "+name, said[name].answers, is[name].answers)
	}
	compare(t, apiDocument, "the list of operations", names(said), names(is))
}

func names(operations map[string]operationDoc) map[string]string {
	out := map[string]string{}
	for name := range operations {
		out[name] = "served"
	}
	return out
}

// documented reads what the document says of each operation. What it says of
// ":type" it says of every type of DNS provider.
func documented(t *testing.T) map[string]operationDoc {
	t.Helper()
	out := map[string]operationDoc{}
	for _, s := range sections(t, apiDocument) {
		method, path, _ := strings.Cut(s.heading, " ")
		switch {
		case !slices.Contains(slices.Collect(maps.Values(methods)), method):
		case strings.Contains(path, ":type"):
			for _, kind := range providerTypes(t) {
				out[strings.Replace(s.heading, ":type", kind.name, 1)] = kind.complete(t, method, path, s.operation())
			}
		default:
			out[s.heading] = s.operation()
		}
	}
	return out
}

// operation reads the tables of fields and of answers in a section.
func (s section) operation() operationDoc {
	op := operationDoc{requests: map[string]string{}, answers: map[string]string{}}
	for _, table := range s.tables {
		for _, row := range table[1:] {
			switch name := strings.Trim(row[0], "`"); table[0][0] {
			case "field":
				op.requests[name] = row[1] + ", " + strings.Trim(row[2], "`")
			case "answer":
				op.answers[name] = row[1]
			}
		}
	}
	return op
}

func TestEveryStateIsDocumented(t *testing.T) {
	t.Parallel()
	said, is := map[string]string{}, map[string]string{}
	for _, s := range order.States {
		is[s.Status()] = s.LegacyStatus()
	}
	for _, row := range rows(t, apiDocument, "`order_status`") {
		said[strings.Trim(row[0], "`")] = strings.Trim(row[1], "`")
	}
	compare(t, apiDocument, "the table of states", said, is)
}
