package acceptance

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"gopkg.in/yaml.v3"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// manifest is one object of the examples.
type manifest map[string]any

// manifests reads the objects of a file. The same key twice is an error.
func manifests(t *testing.T, name string) (out []manifest) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(readFile(t, "examples", "kubernetes", name)))
	for {
		var m map[string]any // what lies in it is of the same type
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, m)
	}
}

// kind is what the object is.
func (m manifest) kind() string { return fmt.Sprint(m["apiVersion"], " ", m["kind"]) }

// at gives what lies at a path.
func (m manifest) at(t *testing.T, path ...string) any {
	t.Helper()
	var here any = map[string]any(m)
	for _, name := range path {
		if list, ok := here.([]any); ok {
			here = list[0]
		}
		object, ok := here.(map[string]any)
		if !ok || object[name] == nil {
			t.Fatalf("%s has no %s", m.kind(), strings.Join(path, "."))
		}
		here = object[name]
	}
	return here
}

func (m manifest) text(t *testing.T, path ...string) string {
	t.Helper()
	return fmt.Sprint(m.at(t, path...))
}

// leaves calls visit with every value that is no object and no list. Lists add nothing to the path.
func leaves(value any, path string, visit func(path string, value any)) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			leaves(inner, strings.TrimPrefix(path+"/"+name, "/"), visit)
		}
	case []any:
		for _, inner := range v {
			leaves(inner, path, visit)
		}
	default:
		visit(path, v)
	}
}

// TestKubernetesFields: an object with a field that its kind does not have is refused, or the field is dropped
// without a word.
func TestKubernetesFields(t *testing.T) {
	t.Parallel()
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "examples", "kubernetes", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no examples (%v)", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		for _, m := range manifests(t, filepath.Base(file)) {
			seen[m.kind()] = true
			leaves(map[string]any(m), "", func(path string, value any) {
				if err := known(m.kind(), path, fmt.Sprint(value)); err != nil {
					t.Errorf("%s: %v", filepath.Base(file), err)
				}
			})
		}
	}
	for kind := range kubernetesFields {
		if !seen[kind] {
			t.Errorf("no example has a %s", kind)
		}
	}
}

// known tells what is wrong with a field of a kind, by the table.
func known(kind, path, value string) error {
	for pattern, values := range kubernetesFields[kind] {
		if regexp.MustCompile("^(?:" + pattern + ")$").MatchString(path) {
			if !regexp.MustCompile("^(?:" + values + ")$").MatchString(value) {
				return fmt.Errorf("%s: %s is %q, and may be %s", kind, path, value, values)
			}
			return nil
		}
	}
	return fmt.Errorf("%s has no field %s", kind, path)
}

// TestKubernetesExamples makes the requests that the operators would make, and puts the answers into the templates of
// the examples: certificate and key belong together.
func TestKubernetesExamples(t *testing.T) {
	t.Parallel()
	s := newAgentSite(t, testbed.PebbleOptions{}, "www.example.com")
	s.write(t, "role/web-servers", fields{"acme_account_name": "pebble", "allowed_domains": "www.example.com"})

	t.Run("Vault Secrets Operator", func(t *testing.T) {
		m := manifests(t, "vault-secrets-operator.yaml")[1]
		body := fields(m.at(t, "spec", "params").(map[string]any))
		if m.text(t, "spec", "mount") != mount {
			t.Errorf("the mount is %v", m.at(t, "spec", "mount"))
		}
		data := map[string]any{"Secrets": map[string]any(s.must(t, "PUT", m.text(t, "spec", "path"), body))}
		templates := []string{"spec", "destination", "transformation", "templates"}
		keyPair(t, fill(t, m.text(t, append(templates, "tls.crt", "text")...), data), fill(t, m.text(t, append(templates, "tls.key", "text")...), data))
	})
	t.Run("External Secrets", func(t *testing.T) {
		both := manifests(t, "external-secrets.yaml")
		generator, secret := both[0], both[1]
		path, below := strings.CutPrefix(generator.text(t, "spec", "path"), mount+"/")
		if !below {
			t.Errorf("the path is %v", generator.at(t, "spec", "path"))
		}
		body := fields(generator.at(t, "spec", "parameters").(map[string]any))
		data := map[string]any(s.must(t, generator.text(t, "spec", "method"), path, body))
		templates := []string{"spec", "target", "template", "data"}
		keyPair(t, fill(t, secret.text(t, append(templates, "tls.crt")...), data), fill(t, secret.text(t, append(templates, "tls.key")...), data))
		ref := []string{"spec", "dataFrom", "sourceRef", "generatorRef"}
		if secret.text(t, append(ref, "name")...) != generator.text(t, "metadata", "name") || secret.text(t, append(ref, "kind")...) != generator["kind"] {
			t.Error("the ExternalSecret names another generator")
		}
	})
	t.Run("Agent Injector", func(t *testing.T) {
		deployment := manifests(t, "agent-injector.yaml")[1]
		const name = "vault.hashicorp.com/agent-inject-template-www.example.com.pem"
		text := deployment.text(t, "spec", "template", "metadata", "annotations", name)
		out := s.render(t, map[string]string{"out": text}, nil).rendered(t, "out")
		keyPair(t, out, out)
	})
	if n := s.certified("www.example.com"); n != 2 { // one of them to prove the name
		t.Errorf("the CA was asked for %d certificates, want 2", n)
	}
}

// fill executes a template as the operators do, with the one function of theirs that the examples use.
func fill(t *testing.T, text string, data map[string]any) string {
	t.Helper()
	get := func(object map[string]any, name string) any { return object[name] }
	parsed, err := template.New("").Funcs(template.FuncMap{"get": get}).Option("missingkey=error").Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	out := &strings.Builder{}
	if err := parsed.Execute(out, data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// keyPair checks that a certificate and a key belong together, and returns the serial number.
func keyPair(t *testing.T, certificate, key string) string {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Certificate) != 2 {
		t.Errorf("there are %d certificates, want the leaf and the one above it", len(pair.Certificate))
	}
	return pair.Leaf.SerialNumber.String()
}
