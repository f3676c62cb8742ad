package pkiexternalca_test

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// layer is a package and what its code may import besides the standard library:
// the named packages and those below them.
type layer struct {
	pkg     string
	may     []string
	because string
}

// layers is the architecture: what each package may import, and why no more.
// Arrows point down only, from the face to Vault to the mechanisms, none of which
// knows who uses it.
var layers = []layer{
	{
		"./cmd/" + module,
		[]string{".", "github.com/hashicorp/go-hclog", "github.com/hashicorp/vault/api", "github.com/hashicorp/vault/sdk/plugin"},
		"the program only serves the root package: whatever it decided could be tested in a process of its own alone",
	},
	{
		".",
		[]string{"./domainmatch", "./internal", "github.com/hashicorp/go-hclog", "github.com/hashicorp/vault/sdk"},
		"the root package is the face to Vault; how ACME is spoken is for internal/acmeclient alone to know",
	},
	{
		"./domainmatch",
		[]string{"golang.org/x/net/idna", "golang.org/x/net/publicsuffix", "github.com/gobwas/glob"},
		"who may have which name must be readable, and testable, without Vault or ACME",
	},
	{"./internal/abreast", nil, "how things are done at once has nothing to do with what they are"},
	{
		"./internal/account",
		[]string{"./internal/acme", "./internal/keys", "./internal/secret"},
		"the change of a key is a protocol of stored steps, tested without Vault and HTTP: it is handed both",
	},
	{"./internal/acme", nil, "the nouns of RFC 8555 are shared by packages that must not know a library"},
	{
		"./internal/acmeclient",
		[]string{"./internal/acme", "./internal/upstream", "github.com/go-acme/lego/v4/acme", "github.com/go-jose/go-jose/v4"},
		"it translates between a CA and package acme, and knows nothing of what is done with that",
	},
	{
		"./internal/acmetest",
		[]string{"./internal/acme", "github.com/go-jose/go-jose/v4", "github.com/letsencrypt", "github.com/miekg/dns"},
		"a CA for tests must not be built with the code that is tested against it",
	},
	{"./internal/bridge", nil, "it is there for its tests"},
	{
		"./internal/dns01",
		[]string{"./internal/secret", "./internal/upstream", "github.com/miekg/dns"},
		"how TXT records are written, followed and looked for is tested without Vault and without a CA",
	},
	{
		"./internal/dns01/dns01test",
		[]string{"./internal/dns01", "github.com/miekg/dns"},
		"name servers for tests must not be built with the code that is tested against them",
	},
	{
		"./internal/dnsprovider",
		[]string{
			"./domainmatch", "./internal/dns01", "./internal/field", "./internal/secret", "./internal/store", "./internal/upstream",
			"github.com/hashicorp/vault/sdk", "github.com/aws", "github.com/Azure", "golang.org/x/oauth2", "google.golang.org/api",
		},
		"each DNS service is a table of settings and a way to write; what is written, and when, is decided elsewhere",
	},
	{"./internal/engine", nil, "when something is done has nothing to do with what is done"},
	{"./internal/field", []string{"github.com/hashicorp/vault/sdk"}, "the fields of the API know nothing of the records they are bound to"},
	{"./internal/flight", nil, "how many may be under way at once is decided without knowing where they go"},
	{"./internal/http01", nil, "what anybody may ask is kept small enough to be read in one go, and away from storage"},
	{
		"./internal/identifier",
		[]string{"./domainmatch", "./internal/acme"},
		"what is a name and what an address is decided once, for everybody who then only asks",
	},
	{"./internal/keys", nil, "what handles private keys is kept small enough to be read in one go"},
	{"./internal/limit", []string{"./internal/acme"}, "when a CA may be asked again is arithmetic, tested without storage and without a clock"},
	{
		"./internal/order",
		[]string{"./internal/abreast", "./internal/acme", "./internal/keys", "github.com/google/uuid"},
		"the life of an order is tested without Vault and HTTP: it declares the CA and the safe that it is handed",
	},
	{"./internal/renewal", nil, "months pass in its tests only because it is arithmetic on times that it is handed"},
	{"./internal/retention", nil, "when something may be deleted must be readable, and testable, without anything to delete"},
	{"./internal/secret", nil, "what keeps secrets from being printed must not depend on who prints"},
	{"./internal/upstream", []string{"golang.org/x/net/html"}, "what foreign servers send is read the same way for everybody"},
	{"./internal/watch", nil, "who waits for a thing need not know what it is"},
	{"./internal/store", []string{"github.com/hashicorp/vault/sdk/logical"}, "storage knows nothing of the records it keeps"},
}

func TestImportsFollowTheLayers(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range sources(t) {
		if f.isTest() || f.below("testbed", "tools") {
			continue
		}
		seen[f.dir()] = true
		at := slices.IndexFunc(layers, func(l layer) bool { return l.pkg == f.dir() })
		if at < 0 {
			t.Errorf("%s: package %s is in no layer: say in the table what it may import, and why no more", f.at(f.Name), f.dir())
			continue
		}
		for _, i := range f.imported() {
			if l := layers[at]; !i.standard && !i.isOneOf(l.may) {
				t.Errorf("%s: %s imports %s; besides the standard library it may import %q only: %s", f.at(i), l.pkg, i.name, l.may, l.because)
			}
		}
	}
	for _, l := range layers {
		if !seen[l.pkg] {
			t.Errorf("the table has a layer for %s, which is no package", l.pkg)
		}
	}
}

// keepers name the packages that only some may import, tests included, and why.
// A package that is not imported by anybody may be listed: the rule is there
// before the temptation.
var keepers = []struct {
	pkg     string
	in      []string // folders and what is below them
	tests   bool     // whether tests may, wherever they are
	because string
}{
	{"github.com/go-acme/lego", []string{"internal/acmeclient", "testbed/bench"}, false, "the next major version of an ACME library must be one package's work"},
	{"golang.org/x/crypto/acme", []string{"internal/acmeclient", "testbed"}, false, "the next major version of an ACME library must be one package's work"},
	{"github.com/go-jose/go-jose", []string{"internal/acmeclient", "internal/acmetest", "internal/dns01/dns01test"}, false, "signatures of ACME are made in one place and checked in another"},
	{"./internal/acmetest", nil, true, "a fake CA has no business in the program"},
	{"github.com/letsencrypt", []string{"internal/acmetest", "internal/dns01/dns01test"}, true, "a fake CA has no business in the program"},
	{"testing", []string{"internal/acmetest", "internal/dns01/dns01test"}, true, "it brings flags of its own to every program that has it"},
	{"github.com/hashicorp/vault/command", []string{"testbed/cmd/vault"}, false, "Vault's server is no library, and takes minutes to compile"},
	{"github.com/hashicorp/vault/vault", nil, false, "Vault's server is no library: tests drive the real one in testbed/"},
	{"github.com/stretchr/testify", nil, false, "a test says in a sentence of its own what is wrong"},
	{"unsafe", nil, false, "nothing here is worth it"},
	{"math/rand", nil, false, "math/rand/v2 for what need not be secret, crypto/rand for what must"},
	{"io/ioutil", nil, false, "it is deprecated"},
	{"log", []string{"internal/acmetest", "testbed"}, true, "the plugin logs through Vault, which knows levels and where logs go"},
}

func TestPackagesStayWithTheirKeepers(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		for _, i := range f.imported() {
			for _, k := range keepers {
				exactly := i.standard && i.name != k.pkg // "log" is not "log/slog"
				if !i.is(k.pkg) || exactly || f.below(k.in...) || k.tests && f.isTest() {
					continue
				}
				t.Errorf("%s: imports %s, which only %q may (tests: %t): %s", f.at(i), i.name, k.in, k.tests, k.because)
			}
		}
	}
}

// TestTestBedIsABlackBox keeps the test bed to what clients of Vault can see.
func TestTestBedIsABlackBox(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		for _, i := range f.imported() {
			inside, ours := f.below("testbed"), strings.HasPrefix(i.name, ".")
			if inside && ours && !i.is("./testbed") {
				t.Errorf("%s: the test bed imports %s; it must see of the plugin what clients see, or it would pass with what they fail with", f.at(i), i.name)
			}
			if !inside && i.is("./testbed") {
				t.Errorf("%s: the plugin imports %s; the test bed is another module because it needs all of Vault", f.at(i), i.name)
			}
		}
	}
}

// TestProgramHoldsNothingOfTheTests looks at everything that is linked into the
// program, however it got there.
func TestProgramHoldsNothingOfTheTests(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/...").Output()
	if err != nil {
		t.Fatalf("listing what the program is made of: %v", err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module) {
		t.Fatalf("the program is not made of the root package, but of %d others", len(linked))
	}
	for _, pkg := range linked {
		for _, bad := range []string{"github.com/letsencrypt", path.Join(module, "internal/acmetest"), path.Join(module, "testbed")} {
			if pkg == bad || strings.HasPrefix(pkg, bad+"/") {
				t.Errorf("the program holds %s, which is for tests", pkg)
			}
		}
	}
}

// TestProgramIsReleasedWithoutProfiles wants the file that writes profiles to be
// left out unless it is asked for, and to be there for the bench that does.
func TestProgramIsReleasedWithoutProfiles(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]string{"": "[main.go]", "profile": "[main.go profile.go]"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-tags="+tags, "-f", "{{.GoFiles}}", "./cmd/"+module).Output()
		if err != nil {
			t.Fatalf("listing the files of the program: %v", err)
		}
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("with the tags %q the program is made of %s, want %s", tags, got, want)
		}
	}
}
