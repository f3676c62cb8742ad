package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// HAProxyOptions says what HAProxy to start.
type HAProxyOptions struct {
	Dir    string // folder for everything it writes; it must exist
	Config string // the whole configuration; what it listens on is on 127.0.0.1 only
	Addr   string // one of the addresses that it listens on, as host:port
}

// HAProxy is a running HAProxy, as Debian's package brings it.
type HAProxy struct {
	*Process
	Addr            string // of the options
	program, config string
}

// StartHAProxy starts one as systemd would: a master, and workers that it replaces. It returns when one listens.
func StartHAProxy(ctx context.Context, o HAProxyOptions) (*HAProxy, error) {
	program, err := findSystemProgram("haproxy", "haproxy")
	if err != nil {
		return nil, err
	}
	h := &HAProxy{Addr: o.Addr, program: program, config: filepath.Join(o.Dir, "haproxy.cfg")}
	if err := os.WriteFile(h.config, []byte(o.Config), 0o600); err != nil {
		return nil, err
	}
	h.Process, err = start(ctx, launch{
		name: "haproxy", path: program, args: []string{"-W", "-db", "-f", h.config}, log: filepath.Join(o.Dir, "haproxy.log"),
	})
	if err != nil {
		return nil, err
	}
	return h, h.listens(ctx, o.Addr)
}

// ReloadCommand has it read its configuration anew, with all certificates, in a shell: what
// "systemctl reload haproxy" does.
func (h *HAProxy) ReloadCommand() string {
	return fmt.Sprintf("%s -c -q -f %s && kill -USR2 %d", h.program, h.config, h.PID())
}
