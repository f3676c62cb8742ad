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

// policyRight is one capability of a policy on one path of the engine, in which
// "+" stands for any segment, and a star at the end for any rest.
type policyRight struct{ method, path string }

func policyRights(t *testing.T, policy string) []policyRight {
	t.Helper()
	var out []policyRight
	for _, rule := range policyRule.FindAllStringSubmatch(read(t, policy), -1) {
		path, ours := strings.CutPrefix(rule[1], mountPath)
		if !ours {
			t.Errorf("%s: %s is no path of the engine", policy, rule[1])
		}
		for capability := range strings.SplitSeq(rule[2], ",") {
			out = append(out, policyRight{capabilities[strings.Trim(capability, ` "`)], path})
		}
	}
	return out
}

// allows tells whether the right is to an operation, as in "POST role/:name".
func (r policyRight) allows(operation string) bool {
	method, path, _ := strings.Cut(operation, " ")
	prefix, star := strings.CutSuffix(r.path, "*")
	rule, has := strings.Split(strings.Trim(prefix, "/"), "/"), strings.Split(path, "/")
	if method != r.method || len(rule) > len(has) || !star && len(rule) != len(has) {
		return false
	}
	for i, segment := range rule {
		if captured := strings.HasPrefix(has[i], ":"); segment != "+" && segment != has[i] && !captured {
			return false
		}
	}
	return true
}

func TestPoliciesNameWhatExists(t *testing.T) {
	t.Parallel()
	operations := sorted(served(t))
	policies, err := filepath.Glob("policies/*.hcl")
	if err != nil || len(policies) == 0 {
		t.Fatalf("no policies (%v)", err)
	}
	for _, policy := range policies {
		for _, right := range policyRights(t, policy) {
			if !slices.ContainsFunc(operations, right.allows) {
				t.Errorf("%s: no path serves %s on %s", policy, right.method, right.path)
			}
		}
	}
}

// TestPoliciesKeepConfigurationApart holds who may do what with accounts and DNS
// providers: with them Vault connects to any host, and changes DNS.
func TestPoliciesKeepConfigurationApart(t *testing.T) {
	t.Parallel()
	for policy, methods := range map[string][]string{
		"policies/operator.hcl":    {"GET", "LIST", "POST", "DELETE"},
		"policies/auditor.hcl":     {"GET", "LIST"},
		"policies/application.hcl": nil,
	} {
		rights := policyRights(t, policy)
		for _, operation := range sorted(served(t)) {
			method, path, _ := strings.Cut(operation, " ")
			if !strings.HasPrefix(path, "config") && !strings.HasPrefix(path, "dns/") {
				continue
			}
			allowed := slices.ContainsFunc(rights, func(r policyRight) bool { return r.allows(operation) })
			if want := slices.Contains(methods, method); allowed != want {
				t.Errorf("%s: whether it allows %s is %v, want %v", policy, operation, allowed, want)
			}
		}
	}
}
