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
	operations, described := served(t), map[string]string{}
	for _, s := range sections(t, apiDocument) {
		method, _, _ := strings.Cut(s.heading, " ")
		if !slices.Contains(slices.Collect(maps.Values(methods)), method) {
			continue
		}
		described[s.heading] = "served"
		requests, answers := map[string]string{}, map[string]string{}
		for _, table := range s.tables {
			for _, row := range table[1:] {
				switch name := strings.Trim(row[0], "`"); table[0][0] {
				case "field":
					requests[name] = row[1] + ", " + strings.Trim(row[2], "`")
				case "answer":
					answers[name] = row[1]
				}
			}
		}
		compare(t, apiDocument, s.heading, requests, operations[s.heading].requests)
		compare(t, apiDocument, "the answer of "+s.heading, answers, operations[s.heading].answers)
	}
	is := map[string]string{}
	for name := range operations {
		is[name] = "served"
	}
	compare(t, apiDocument, "the list of operations", described, is)
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
