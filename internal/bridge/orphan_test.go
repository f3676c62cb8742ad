package bridge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
)

// hostVariable names the plugin to the test program when it runs a second time,
// as a host of its own.
const hostVariable = "BRIDGE_HOST_OF"

// runHost is that host: it mounts the plugin, prints the plugin's process id, and
// lives until its standard input ends.
func runHost(path string) int {
	pid, err := host(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(pid)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func host(path string) (pid int, err error) {
	if err := useProgram(path); err != nil {
		return 0, err
	}
	p, err := launch(context.Background())
	if err != nil {
		return 0, err
	}
	b, err := p.dispense()
	if err != nil {
		return 0, err
	}
	s := &storage{}
	conf := &logical.BackendConfig{StorageView: s, System: newSystem(), Logger: hclog.NewNullLogger()}
	if err := b.Setup(context.Background(), conf); err != nil {
		return 0, err
	}
	return p.pid(), b.Initialize(context.Background(), &logical.InitializationRequest{Storage: s})
}

// TestOrphanEndsItself: nobody tells a plugin that Vault was killed. If it lived
// on it would go on with orders that the next leader is at work on too.
func TestOrphanEndsItself(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(cmd.Environ(), hostVariable+"="+program.path)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	plugin := readPID(t, out)
	t.Cleanup(func() { _ = syscall.Kill(plugin, syscall.SIGKILL) })
	if !running(plugin) {
		t.Fatalf("the plugin, process %d, does not run", plugin)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "the plugin to notice that its host is gone", func() bool { return !running(plugin) })
}

func readPID(t *testing.T, r io.Reader) int {
	t.Helper()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("the host said nothing: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
