package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const troubleshooting = "troubleshooting.md"

// TestQuotedErrorsExist looks for each message that the table of symptoms quotes
// in the code. A message is quoted with … for what differs from case to case.
func TestQuotedErrorsExist(t *testing.T) {
	t.Parallel()
	code, quoted := code(t), 0
	for _, row := range rows(t, troubleshooting, "message") {
		for _, message := range ticked(row[0]) {
			quoted++
			for part := range strings.SplitSeq(message, "…") {
				part = strings.TrimSpace(strings.ReplaceAll(part, `"`, ""))
				if !strings.Contains(code, part) {
					t.Errorf("%s: nothing says %q, of %q", troubleshooting, part, message)
				}
			}
		}
	}
	if quoted == 0 {
		t.Errorf("%s quotes no message", troubleshooting)
	}
}

// code is all of the plugin's source outside of tests, without quotation marks:
// how a message is quoted in the source is not how it is read.
func code(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "testbed" || name == "tools" || strings.HasPrefix(name, ".") && name != ".."):
			return fs.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = b.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`\"`, "", `"`, "", "%q", "").Replace(b.String())
}
