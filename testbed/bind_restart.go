package testbed

import (
	"context"
	"os"
	"path/filepath"
)

// Restart starts the server again at the same address and with the zones as they were. It stops the server first,
// unless that has ended already. It returns when the server answers, be it for no zone; the server ends with ctx.
func (b *BIND) Restart(ctx context.Context) error {
	b.Stop()
	process, err := start(ctx, launch{
		name: "named", path: b.file("named"), args: []string{"-g", "-4", "-n", "1", "-c", b.file("named.conf")}, log: b.LogPath(),
	})
	if err != nil {
		return err
	}
	b.Process = process
	err = b.ready(ctx, nameServerLimit, func(ctx context.Context) error {
		if _, err := b.TXT(ctx, "ready.test"); err != nil {
			return err
		}
		return b.open(b.Process) // fails until the old one is closed
	})
	if err != nil {
		b.Stop()
	}
	return err
}

// Break makes a zone unusable from the next start on, and returns what mends it.
func (b *BIND) Break(zone string) (mend func() error, err error) {
	whole, broken := b.file(zone+".zone"), b.file(zone+".broken")
	return func() error { return os.Rename(broken, whole) }, os.Rename(whole, broken)
}

// file is a path in the folder that the server keeps its files in.
func (b *BIND) file(name string) string { return filepath.Join(filepath.Dir(b.LogPath()), name) }
