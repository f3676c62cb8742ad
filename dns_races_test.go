package pkiexternalca

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// interrupted is a storage in which something else happens right before the first
// record below a prefix is deleted.
type interrupted struct {
	logical.Storage
	prefix    string
	once      sync.Once
	meanwhile func()
}

// Delete implements logical.Storage.
func (i *interrupted) Delete(ctx context.Context, key string) error {
	if strings.HasPrefix(key, i.prefix) {
		i.once.Do(func() { i.start() })
	}
	return i.Storage.Delete(ctx, key)
}

// start lets the other thing have its way, if nothing stands in it.
func (i *interrupted) start() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.meanwhile()
	}()
	select {
	case <-done:
	case <-time.After(100 * time.Millisecond): // it waits for us, as it should
	}
}

// interrupt mounts the debtor on a storage with an interruption, and gives a
// function that waits until that has ended.
func (d *debtor) interrupt(prefix string, meanwhile func()) (ended func()) {
	d.t.Helper()
	d.unmount()
	mounted, over := make(chan struct{}), make(chan struct{})
	d.mount = mountOn(d.t, &interrupted{Storage: d.storage, prefix: prefix, meanwhile: func() {
		defer close(over)
		<-mounted
		meanwhile()
	}})
	close(mounted)
	return func() {
		select {
		case <-over:
		case <-time.After(patience):
			d.t.Fatal("what should have happened meanwhile did not")
		}
	}
}

// TestNothingIsWrittenWithAProviderThatGoes: a record that is written while its
// provider is being deleted would never be removed.
func TestNothingIsWrittenWithAProviderThatGoes(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	proof := order.Proof{Place: order.Place{Provider: "rfc2136/internal", Name: "_acme-challenge.www.example.com"}, Value: "value"}
	ended := d.interrupt(dnsprovider.Prefix, func() { _ = (prover{d.b, d.storage}).Add(context.Background(), "", proof) }) // refused, or owed
	d.delete(internal, nil)
	ended()
	d.restart()
	d.isFree("www.example.com")
	d.buried()
}

// TestProviderThatIsMadeAgainStays: the end of the last debt must not take away
// the provider that was made in place of the deleted one.
func TestProviderThatIsMadeAgainStays(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.relay.judge(removals(dns.RcodeServerFailure))
	d.addRecord("rfc2136/internal", "www.example.com")
	d.delete(internal, nil)
	d.relay.judge(nil)
	ended := d.interrupt(dnsprovider.Prefix, func() { d.provider("internal", nil) })
	ended()
	d.isFree("www.example.com")
	if listed := d.list("config/dns/", nil); len(listed) != 1 {
		t.Errorf("the providers are %q", listed)
	}
}

// TestLastDebtsPaidSideBySide: of two debts that are the last of a deleted provider
// one takes it along, also when both are paid at the same time.
func TestLastDebtsPaidSideBySide(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.relay.judge(removals(dns.RcodeServerFailure))
	d.addRecord("rfc2136/internal", "www.example.com")
	d.addRecord("rfc2136/internal", "api.example.com")
	d.delete(internal, nil)
	both := make([]*debt, 2)
	for i, key := range d.owed() {
		both[i] = storedDebtAt(t, d.storage, key)
	}
	d.b.stop(false)
	storage := &interrupted{Storage: d.storage, prefix: debts.Prefix + debtPath(both[0].Proof)}
	var other sync.WaitGroup
	other.Add(1)
	storage.meanwhile = func() {
		defer other.Done()
		if err := d.b.closeDebt(context.Background(), storage, both[1]); err != nil {
			t.Error(err)
		}
	}
	if err := d.b.closeDebt(t.Context(), storage, both[0]); err != nil {
		t.Error(err)
	}
	other.Wait()
	d.buried()
}
