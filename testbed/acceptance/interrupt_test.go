package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// interruption is something that happens to a Vault in the middle of its work.
type interruption struct {
	name    string
	happens func(context.Context, site) error
}

var interruptions = []interruption{
	{"the plugin is killed", func(_ context.Context, s site) error { return killAll(s.Vault.PluginPIDs()) }},
	{"Vault is restarted", func(ctx context.Context, s site) error { return s.Vault.Restart(ctx) }},
	{"Vault is killed", killVault},
	{"Vault is sealed and unsealed", func(ctx context.Context, s site) error {
		if err := s.Vault.Seal(ctx); err != nil {
			return err
		}
		return s.Vault.Unseal(ctx)
	}},
	{"the plugin is reloaded", func(ctx context.Context, s site) error {
		_, err := s.Vault.Run(ctx, "plugin", "reload", "-type=secret", "-plugin="+testbed.CatalogName)
		return err
	}},
}

func killAll(pids []int) error {
	if len(pids) == 0 {
		return errors.New("there is no plugin process to kill")
	}
	var failed error
	for _, pid := range pids {
		failed = errors.Join(failed, syscall.Kill(pid, syscall.SIGKILL))
	}
	return failed
}

// killVault kills the server alone. The plugin is left an orphan, which has to end by itself: nobody else
// would end it, and it holds keys.
func killVault(ctx context.Context, s site) error {
	orphans := s.Vault.PluginPIDs()
	if err := s.Vault.Kill(); err != nil {
		return err
	}
	return errors.Join(awaitGone(ctx, orphans), s.Vault.Restart(ctx))
}

// awaitGone waits until orphaned plugin processes have ended.
func awaitGone(ctx context.Context, orphans []int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return testbed.Until(ctx, func(context.Context) error {
		alive := slices.DeleteFunc(slices.Clone(orphans), func(pid int) bool {
			return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		})
		if len(alive) > 0 {
			return fmt.Errorf("orphaned plugin processes are still there: %v", alive)
		}
		return nil
	})
}

// TestOrdersOutliveInterruptions interrupts orders in each state in which they wait, and expects each to
// reach its one certificate.
func TestOrdersOutliveInterruptions(t *testing.T) {
	t.Parallel()
	slow := []string{"PEBBLE_VA_NOSLEEP=0", "PEBBLE_VA_SLEEPTIME=5"} // up to so many seconds for a validation
	s := newSite(t, testbed.PebbleOptions{Env: slow})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, i := range interruptions {
		t.Run(i.name, func(t *testing.T) { s.interrupt(t, i) })
	}
}

func (s site) interrupt(t *testing.T, i interruption) {
	role, domain := s.newRole(t, nil)
	before := s.certificatesIssued(t)
	begin := func(name string) order {
		return s.newOrder(t, role, fields{"identifiers": []string{name + "." + domain}})
	}
	waiting, notified, processed := begin("waiting"), begin("notified"), begin("processed")
	for _, o := range []order{waiting, notified, processed} {
		o.await(t, stateAwaiting)
	}
	processed.fulfill(t, "processed."+domain)
	processed.await(t, stateProcessing, stateCompleted)

	s.signalCA(t, syscall.SIGSTOP) // it accepts connections and answers none
	fresh := begin("fresh")
	notified.fulfill(t, "notified."+domain)
	for _, o := range []order{fresh, notified} {
		t.Logf("with a CA that does not answer, order %s is %s", o.id, o.status(t)["order_status"])
	}
	if err := i.happens(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s.signalCA(t, syscall.SIGCONT)

	fresh.await(t, stateAwaiting)
	fresh.fulfill(t, "fresh."+domain)
	waiting.fulfill(t, "waiting."+domain)
	for name, o := range map[string]order{"waiting": waiting, "notified": notified, "processed": processed, "fresh": fresh} {
		o.await(t, stateCompleted)
		s.checkKeyed(t, o.read(t, o.path()+"/fetch-cert"), name+"."+domain)
	}
	if issued := s.certificatesIssued(t) - before; issued != 4 {
		t.Errorf("the CA issued %d certificates for 4 orders", issued)
	}
}

func (s site) signalCA(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.Pebble.PID(), signal); err != nil {
		t.Fatal(err)
	}
}

// certificatesIssued counts them in the CA's log.
func (s site) certificatesIssued(t *testing.T) int {
	t.Helper()
	log, err := os.ReadFile(s.Pebble.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), "Issued certificate serial ")
}
