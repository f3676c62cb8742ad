package docs_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var policyRule = regexp.MustCompile(`path "([^"]+)" \{\s*capabilities = \[([^\]]*)\]`)

var capabilities = map[string]string{"create": "POST", "update": "POST", "read": "GET", "list": "LIST", "delete": "DELETE"}

func TestPoliciesNameWhatExists(t *testing.T) {
	t.Parallel()
	operations := served(t)
	policies, err := filepath.Glob("policies/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range policies {
		for _, rule := range policyRule.FindAllStringSubmatch(read(t, policy), -1) {
			path, ours := strings.CutPrefix(rule[1], mountPath)
			path = strings.ReplaceAll(path, "+", "x")
			for capability := range strings.SplitSeq(rule[2], ",") {
				method := capabilities[strings.Trim(capability, ` "`)]
				if _, ok := serve(operations, method, path); !ours || !ok && !below(operations, method, path) {
					t.Errorf("%s: no path serves %s on %s", policy, capability, rule[1])
				}
			}
		}
	}
}

// below tells whether a path that ends with a star has an operation under it.
func below(operations map[string]operationDoc, method, path string) bool {
	prefix, star := strings.CutSuffix(path, "*")
	return star && slices.ContainsFunc(sorted(operations), func(name string) bool {
		return strings.HasPrefix(name, method+" "+prefix)
	})
}
