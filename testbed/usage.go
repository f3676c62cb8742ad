package testbed

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Usage is what processes hold, as /proc tells it.
type Usage struct {
	Threads     int
	Descriptors int
	Resident    int // bytes
}

// String is how people read it, with memory in MiB.
func (u Usage) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d MiB", u.Descriptors, u.Threads, u.Resident>>20)
}

// PluginUsage is what the plugin's processes hold together. It is an error if there are none.
func (v *Vault) PluginUsage() (Usage, error) {
	var all Usage
	pids := v.PluginPIDs()
	if len(pids) == 0 {
		return all, fmt.Errorf("there is no plugin process")
	}
	for _, pid := range pids {
		if err := all.add(filepath.Join("/proc", strconv.Itoa(pid))); err != nil {
			return all, fmt.Errorf("looking at what the plugin holds: %w", err)
		}
	}
	return all, nil
}

func (u *Usage) add(dir string) error {
	open, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return err
	}
	u.Descriptors += len(open)
	u.Threads += statusNumber(status, "Threads:")
	u.Resident += statusNumber(status, "VmRSS:") << 10
	return nil
}

// statusNumber is the number behind a word in /proc/<pid>/status; 0 if there is none.
func statusNumber(status []byte, word string) int {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(word)); ok {
			n, _ := strconv.Atoi(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))))
			return n
		}
	}
	return 0
}

// Growth is how much more may be held after work than before it, at rest both times. The plugin remembers up to 32 MiB of
// records, for which the collector of garbage lets the heap become twice as large, and more.
var Growth = Usage{Threads: 24, Descriptors: 16, Resident: 96 << 20}

// Within tells whether u is no more than before, but for what may have been added: the runtime keeps threads and
// some memory that it once needed, and Vault's connections come and go.
func (u Usage) Within(before Usage) error {
	if u.Threads > before.Threads+Growth.Threads || u.Descriptors > before.Descriptors+Growth.Descriptors || u.Resident > before.Resident+Growth.Resident {
		return fmt.Errorf("the plugin holds %s, before it were %s", u, before)
	}
	return nil
}
