package testbed

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Binaries are the paths of the programs that the test bed runs.
type Binaries struct {
	Vault        string // server and command line
	Pebble       string // ACME CA
	Challtestsrv string // DNS server that Pebble asks
	Plugin       string // the plugin under test
}

// ProfileVariable is what tells a plugin of [BuildProfiled] the file to write to, which appears when it is complete.
const ProfileVariable = "PKI_EXTERNAL_CA_CPU_PROFILE"

// part is one program that Build makes.
type part struct {
	name    string   // file name below .testbed/bin
	from    string   // module it is built in, relative to the root of the repository
	main    string   // package with its main function
	flags   []string // for go build
	env     []string // for go build
	takes   string   // how long a first build takes, for the impatient
	sources []string // files, relative to the root, that decide whether it is out of date; none: go build decides
}

// pluginVersion is what a plugin built here says of itself.
const pluginVersion = "v0.0.0-dev"

// The servers come from released modules: their sources are the versions in go.mod and go.sum. Vault is
// built without its many databases and auth methods (-tags minimal), which halves the time.
var (
	vaultPart = part{
		name: "vault", from: "testbed", main: "./cmd/vault", flags: []string{"-trimpath", "-tags", "minimal"},
		takes:   "about 5 minutes on 2 cores, plus the download of its modules",
		sources: []string{"testbed/go.mod", "testbed/go.sum", "testbed/cmd/vault/main.go"},
	}
	pebblePart = part{
		name: "pebble", from: "testbed", main: "github.com/letsencrypt/pebble/v2/cmd/pebble", flags: []string{"-trimpath"},
		takes:   "about 20 seconds",
		sources: []string{"testbed/go.mod", "testbed/go.sum"},
	}
	challtestsrvPart = part{
		name: "pebble-challtestsrv", from: "testbed", main: "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv",
		flags: []string{"-trimpath"}, takes: "a few seconds",
		sources: []string{"testbed/go.mod", "testbed/go.sum"},
	}
	pluginPart = part{
		name: PluginName, from: ".", main: "./cmd/" + PluginName, flags: []string{"-trimpath"},
		env: []string{"CGO_ENABLED=0"}, takes: "about a minute",
	}
	// The plugin as released but for the way to ask it where its processor time goes.
	profiledPart = part{
		name: PluginName + "-profiled", from: ".", main: "./cmd/" + PluginName, flags: []string{"-trimpath", "-tags", "profile"},
		env: []string{"CGO_ENABLED=0"}, takes: "about a minute",
	}
	// The plugin under the race detector shares what "go test -race" has compiled.
	racePart = part{
		name: PluginName + "-race", from: ".", main: "./cmd/" + PluginName, flags: []string{"-race"},
		env: []string{"CGO_ENABLED=1"}, takes: "about two minutes",
	}
)

// Build makes the binaries that are missing or out of date and tells w what it does, and how far it is.
// A vault that is installed already, and recent enough, is used in place of a built one; the environment
// variable TESTBED_VAULT names one explicitly. With TESTBED_RACE set the plugin is built with the race
// detector in it (see [Vault.Races]). Programs that build at the same time take turns.
func Build(ctx context.Context, w io.Writer) (Binaries, error) {
	b, err := newBuilder(w)
	if err != nil {
		return Binaries{}, err
	}
	defer b.unlock()
	vault, err := b.vault(ctx)
	if err != nil {
		return Binaries{}, err
	}
	plugin := pluginPart
	if os.Getenv("TESTBED_RACE") != "" {
		plugin = racePart
	}
	for _, p := range []part{pebblePart, challtestsrvPart, plugin} {
		if err := b.make(ctx, p); err != nil {
			return Binaries{}, err
		}
	}
	return Binaries{
		Vault:        vault,
		Pebble:       b.path(pebblePart),
		Challtestsrv: b.path(challtestsrvPart),
		Plugin:       b.path(plugin),
	}, nil
}

// BuildProfiled makes the plugin that writes a profile of its processor time between two SIGUSR1 (see
// [ProfileVariable]), and returns its path.
func BuildProfiled(ctx context.Context, w io.Writer) (string, error) {
	b, err := newBuilder(w)
	if err != nil {
		return "", err
	}
	defer b.unlock()
	return b.path(profiledPart), b.make(ctx, profiledPart)
}

// builder holds the lock on .testbed/bin.
type builder struct {
	root string
	bin  string
	out  io.Writer
	lock *os.File
}

func newBuilder(w io.Writer) (*builder, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, ".testbed", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(root, ".testbed", "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return &builder{root: root, bin: bin, out: w, lock: lock}, nil
}

// unlock lets the next one build; closing the file gives up the lock.
func (b *builder) unlock() { _ = b.lock.Close() }

func (b *builder) path(p part) string { return filepath.Join(b.bin, p.name) }

// make builds p unless it is up to date. The binary is replaced in one step, because an older one may be
// running.
func (b *builder) make(ctx context.Context, p part) error {
	stamp, err := b.stamp(ctx, p)
	if err != nil {
		return err
	}
	if b.fresh(p, stamp) {
		return nil
	}
	next := b.path(p) + ".next"
	if err := b.compile(ctx, p, next); err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	if err := os.Rename(next, b.path(p)); err != nil {
		return err
	}
	return b.keepStamp(p, stamp)
}

func (b *builder) compile(ctx context.Context, p part, to string) error {
	ldflags := "-s -w"
	if p.from == "." {
		ldflags += " -X " + PluginName + ".Version=" + pluginVersion
	}
	args := []string{"build", "-v", "-ldflags", ldflags, "-o", to}
	cmd := exec.CommandContext(ctx, "go", append(append(args, p.flags...), p.main)...)
	cmd.Dir = filepath.Join(b.root, p.from)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // so that go removes its work
	return runShowingProgress(cmd, p, b.out)
}
