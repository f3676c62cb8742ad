package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// call is a request that a document makes.
type call struct {
	method, path string
	fields       []string
}

var (
	fence        = regexp.MustCompile("(?s)```(sh|console)\n(.*?)```")
	vaultCommand = regexp.MustCompile(`\bvault ([a-z][^|>;)&\n]*)`)
	curlMethod   = regexp.MustCompile(`--request (\w+)`)
	curlURL      = regexp.MustCompile(`/v1/` + mountPath + `([^"?\s]+)(?:\?([^"\s]*))?`)
	curlField    = regexp.MustCompile(`[{,]\s*"(\w+)":`)
	variable     = regexp.MustCompile(`\$\w+`)
)

var verbs = map[string]string{"write": "POST", "read": "GET", "list": "LIST", "delete": "DELETE"}

// otherCommands are those that do not concern a path of the engine.
var otherCommands = []string{
	"plugin register", "plugin deregister", "plugin list", "plugin reload", "secrets enable", "secrets disable", "secrets tune",
	"secrets list", "auth enable", "write auth/", "read auth/", "policy write", "token create", "operator raft", "operator step-down", "audit enable",
	"path-help " + mountPath, "write sys/quotas/rate-limit/",
}

// commands lists the command lines of a document, as a shell would join them.
func commands(t *testing.T, document string) []string {
	t.Helper()
	var out []string
	for _, block := range fence.FindAllStringSubmatch(read(t, document), -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[2], "\\\n", " ")) {
			typed, prompted := strings.CutPrefix(line, "$ ")
			if prompted || block[1] == "sh" {
				out = append(out, typed)
			}
		}
	}
	return out
}

// calls finds the requests in a command line; unknown holds commands that are none.
func calls(line string) (found []call, unknown []string) {
	for _, m := range vaultCommand.FindAllStringSubmatch(line, -1) {
		words := slices.DeleteFunc(strings.Fields(m[1]), func(w string) bool { return strings.HasPrefix(w, "-") })
		path, ours := strings.CutPrefix(words[min(1, len(words)-1)], mountPath)
		switch method := verbs[words[0]]; {
		case ours && method != "":
			c := call{method: method, path: path}
			for _, word := range words[2:] {
				if name, _, assigned := strings.Cut(strings.Trim(word, "'"), "="); assigned {
					c.fields = append(c.fields, name)
				}
			}
			found = append(found, c)
		case !slices.ContainsFunc(otherCommands, func(known string) bool { return strings.HasPrefix(strings.Join(words, " "), known) }):
			unknown = append(unknown, m[0])
		}
	}
	return append(found, curlCalls(line)...), unknown
}

func curlCalls(line string) (found []call) {
	for _, m := range curlURL.FindAllStringSubmatch(line, -1) {
		c := call{method: "GET", path: m[1]}
		if method := curlMethod.FindStringSubmatch(line); method != nil {
			c.method = method[1]
		}
		for pair := range strings.SplitSeq(m[2], "&") {
			if name, _, _ := strings.Cut(pair, "="); name != "" {
				c.fields = append(c.fields, name)
			}
		}
		for _, field := range curlField.FindAllStringSubmatch(line, -1) {
			c.fields = append(c.fields, field[1])
		}
		found = append(found, c)
	}
	return found
}

// serve finds the operation that a method and a path lead to.
func serve(operations map[string]operationDoc, method, path string) (operationDoc, bool) {
	for name, op := range operations {
		if strings.HasPrefix(name, method+" ") && op.match.MatchString(path) {
			return op, true
		}
	}
	return operationDoc{}, false
}

func TestEveryCommandIsPossible(t *testing.T) {
	t.Parallel()
	operations, seen := served(t), 0
	for _, document := range documents(t) {
		for _, line := range commands(t, document) {
			found, unknown := calls(line)
			for _, text := range unknown {
				t.Errorf("%s: %q is no command that is known here", document, text)
			}
			for _, c := range found {
				seen++
				op, ok := serve(operations, c.method, variable.ReplaceAllString(c.path, "x"))
				if !ok {
					t.Errorf("%s: no path serves %s %s", document, c.method, c.path)
				}
				for _, field := range c.fields {
					if _, known := op.requests[field]; ok && !known {
						t.Errorf("%s: %s %s has no field %q", document, c.method, c.path, field)
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Error("the documents hold no commands; is the pattern of their blocks right?")
	}
}
