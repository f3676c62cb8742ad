package acceptance

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestEveryPathExplainsItself asks for the help of each path of the description.
func TestEveryPathExplainsItself(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(enterprise)
	if err != nil {
		t.Fatal(err)
	}
	var described spec
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	example := strings.NewReplacer(
		"/{pki_external_ca_mount_path}", mount, "{name}", "pebble", "{serial}", "01:02",
		"{order_id}", "0193d8e0-7c3a-7890-b123-456789abcdef",
	)
	for path := range described.Paths {
		if exempt(fact{where: path}) != "" {
			continue
		}
		help := shared.vault(t, "path-help", example.Replace(path))
		for _, section := range []string{"Request:", "Matching Route:", "## DESCRIPTION"} {
			if !strings.Contains(help, section) {
				t.Errorf("the help of %s lacks %q:\n%s", path, section, help)
			}
		}
		_, description, _ := strings.Cut(help, "## DESCRIPTION")
		if len(strings.Fields(description)) < 5 {
			t.Errorf("the help of %s describes nothing: %q", path, description)
		}
	}
	if help := shared.vault(t, "path-help", mount); !strings.Contains(help, "ACME") {
		t.Errorf("the help of the engine itself does not say what it is:\n%s", help)
	}
}
