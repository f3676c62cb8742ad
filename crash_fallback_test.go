package pkiexternalca

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestFallbackSurvivesItsStorage lets the storage fail at every single write of an
// order that turns to another account, and die there: it is completed all the same,
// with that account, and no CA is asked for more than one order too many.
func TestFallbackSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	writes := tryFallback(t, "", 0)
	for _, kind := range failures {
		for n := 1; n <= writes; n++ {
			t.Run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) {
				t.Parallel()
				tryFallback(t, kind, n)
			})
		}
	}
}

// tryFallback has an order turn to another account with a storage that fails at the
// nth write after it was placed, and gives the number of writes.
func tryFallback(t *testing.T, kind failure, n int) int {
	storage := &frail{Storage: &logical.InmemStorage{}, kind: kind}
	m, first, second := withFallbackOn(t, storage)
	first.On(acmetest.NewOrder, acmetest.HTML(http.StatusServiceUnavailable, "not yet"))
	id := m.refusedByCA("www.example.com")
	storage.arm(n)
	first.On(acmetest.NewOrder, exhausted)
	eventually(t, "the order to be completed, or the storage to die", func() bool {
		resp, status, _ := m.send(logical.ReadOperation, "role/web/order/"+id+"/status", nil)
		return storage.isDead() || status == http.StatusOK && resp.Data["order_status"] == "completed"
	})
	writes := storage.count()
	if storage.isDead() {
		m.unmount()
		m = mountOn(t, storage.Storage)
	}
	m.awaitStatus("web", id, "completed")
	m.servedBy(id, "second", "ca", "")
	m.holdsWhatTheCACertified(second, id, "www.example.com")
	if asked := second.Count(acmetest.NewOrder); asked > 2 {
		t.Errorf("the second CA was asked for %d orders", asked)
	}
	if left := m.read("config/acme-account/ca/limits", nil)["until"].(string); left < time.Now().UTC().Format(time.RFC3339) {
		t.Errorf("the limit of the first CA is over at %s", left)
	}
	return writes
}
