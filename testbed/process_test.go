package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperLog, when set, makes this test program an owner that starts a process, tells its id and waits to be
// killed.
const helperLog = "TESTBED_HELPER_LOG"

func TestMain(m *testing.M) {
	if log := os.Getenv(helperLog); log != "" {
		ownAndWait(log)
	}
	os.Exit(m.Run())
}

func ownAndWait(log string) {
	p, err := start(context.Background(), launch{name: "sleep", path: "/bin/sh", args: []string{"-c", "sleep 600 & sleep 600"}, log: log})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	select {} // the parent kills us
}

func TestProcessesEndWithAnOwnerThatIsKilled(t *testing.T) {
	t.Parallel()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), helperLog+"="+filepath.Join(t.TempDir(), "log"))
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var group int
	if _, err := fmt.Sscan(line, &group); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // killed, as asked
	expectGroupGone(t, group)
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	p, err := start(t.Context(), launch{name: "sleep", path: "/bin/sh", args: []string{"-c", "sleep 600 & sleep 600"}, log: log})
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	p.Stop() // twice is fine
	expectGroupGone(t, p.PID())
}

func TestAProcessEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p, err := start(ctx, launch{name: "sleep", path: "/bin/sh", args: []string{"-c", "sleep 600"}, log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.done
	expectGroupGone(t, p.PID())
}

// expectGroupGone waits until no process of the group is left.
func expectGroupGone(t *testing.T, group int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := Until(ctx, func(context.Context) error {
		if err := syscall.Kill(-group, 0); !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("group %d is still there", group)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAStartThatFailsShowsTheLog(t *testing.T) {
	t.Parallel()
	p, err := start(t.Context(), launch{
		name: "a server", path: "/bin/sh", args: []string{"-c", "echo cannot bind; exit 3"},
		log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	err = p.ready(t.Context(), time.Minute, func(context.Context) error { return errors.New("no answer") })
	for _, want := range []string{"a server ended: exit status 3", "no answer", "cannot bind"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}
