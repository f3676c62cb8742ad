package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is how long a process that was asked to end may take before it is killed.
const grace = 15 * time.Second

// Process is a running server. It leads a process group, so that its own children (Vault's plugins) end with
// it. It ends with the context it was started under. If this program is killed before it can clean up, the
// guard does: a shell that waits on a pipe of ours and, when the pipe breaks, kills the group.
type Process struct {
	name    string
	logPath string
	cmd     *exec.Cmd
	guard   *exec.Cmd
	pipe    io.Closer // our end of the guard's pipe; held open for as long as the process may live
	done    chan struct{}
	once    sync.Once
}

// launch says what to run.
type launch struct {
	name string   // what messages call it
	path string   // the binary
	args []string // without the program's name
	env  []string // added to the environment, from which every VAULT_ and PEBBLE_ variable was taken
	log  string   // file that standard output and error are appended to
}

// start runs a process. It returns before the server is ready; see ready.
func start(ctx context.Context, l launch) (*Process, error) {
	log, err := os.OpenFile(l.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(l.path, l.args...)
	cmd.Env = append(cleanEnv(), l.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.name, err)
	}
	p := &Process{name: l.name, logPath: l.log, cmd: cmd, done: make(chan struct{})}
	if err := p.startGuard(); err != nil {
		_ = p.signalGroup(syscall.SIGKILL)
		return nil, errors.Join(err, cmd.Wait())
	}
	go p.reap()
	context.AfterFunc(ctx, p.Stop)
	return p, nil
}

func (p *Process) startGuard() error {
	guard := exec.Command("sh", "-c", `read -r _; kill -s KILL -- "-$1" 2>/dev/null`, "guard", strconv.Itoa(p.PID()))
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := guard.StdinPipe()
	if err != nil {
		return err
	}
	if err := guard.Start(); err != nil {
		return fmt.Errorf("start the guard of %s: %w", p.name, err)
	}
	p.guard, p.pipe = guard, pipe
	return nil
}

// reap waits for the process; how it ended is read from the exit status and its log.
func (p *Process) reap() {
	_ = p.cmd.Wait()
	close(p.done)
}

// PID is the process id, which is also the id of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// LogPath is the file with everything that the process printed.
func (p *Process) LogPath() string { return p.logPath }

// Kill ends this one process as a power cut would (SIGKILL) and leaves its children to themselves. Stop is
// still due afterwards.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// Stop asks the process to end (SIGTERM), and kills what is left of its group after a while. It may be
// called more than once, and returns when the process is gone.
func (p *Process) Stop() { p.once.Do(p.stop) }

func (p *Process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
	}
	_ = p.signalGroup(syscall.SIGKILL) // also when the leader has ended: its children may not have
	<-p.done
	_ = p.guard.Process.Kill() // before its pipe breaks: the group's number is free for others now
	_ = p.pipe.Close()
	_ = p.guard.Wait()
}

func (p *Process) signalGroup(s syscall.Signal) error { return syscall.Kill(-p.PID(), s) }

// ready waits until probe succeeds. It fails at once if the process ends, and after the time limit
// otherwise, with the end of the log in both cases.
func (p *Process) ready(ctx context.Context, limit time.Duration, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ctx, exited := context.WithCancelCause(ctx)
	defer exited(nil)
	go func() {
		select {
		case <-p.done:
			exited(fmt.Errorf("%s ended: %v", p.name, p.cmd.ProcessState))
		case <-ctx.Done():
		}
	}()
	if err := Until(ctx, probe); err != nil {
		return fmt.Errorf("%s did not become ready: %w\nits log (%s) ends:\n%s", p.name, err, p.logPath, p.logTail())
	}
	return nil
}

// logTail is the last two kilobytes of the log, for error messages.
func (p *Process) logTail() string {
	log, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-2048):])
}

// cleanEnv is our environment without the variables that would quietly configure Vault or Pebble.
func cleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "VAULT_") && !strings.HasPrefix(kv, "PEBBLE_") {
			env = append(env, kv)
		}
	}
	return env
}
