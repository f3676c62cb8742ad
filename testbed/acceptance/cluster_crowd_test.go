package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// crowd has 500 instances of an application ask for one certificate through all nodes, and kills the active one when
// the CA has signed and nobody has heard of it. There is one order here, one at the CA, and one certificate for all.
func (c clusterSite) crowd(t *testing.T) {
	const instances = 500
	name := unique() + "." + bindZone
	ordered := c.gateway.Ordered()
	c.gateway.Detain(testbed.PathFinalize)
	type outcome struct {
		cert fields
		err  error
	}
	outcomes, ctx := make(chan outcome, instances), t.Context()
	for range instances {
		go func() {
			cert, err := c.issueTo(ctx, name)
			outcomes <- outcome{cert, err}
		}()
	}
	c.awaitDetained(t, 1)
	t.Logf("another node is active after %s", c.failByKill(t))
	certificates := map[string]fields{}
	for range instances {
		got := <-outcomes
		if got.err != nil {
			t.Fatal(got.err)
		}
		certificates[got.cert.text(t, "order_id")+" "+got.cert.text(t, "serial_number")] = got.cert
	}
	if n := c.gateway.Ordered() - ordered; n != 1 || len(certificates) != 1 {
		t.Errorf("the CA made %d orders, and %d instances were given %d certificates", n, instances, len(certificates))
	}
	for _, cert := range certificates {
		c.checkKeyed(t, cert, name)
	}
}

// issueTo asks for a certificate until there is one, with a pause as Vault Agent makes one.
func (c clusterSite) issueTo(ctx context.Context, name string) (fields, error) {
	a, err := c.insistEvery(ctx, 2*time.Second, http.MethodPost, "role/automatic/issue", fields{"identifiers": name})
	if err == nil {
		err = a.failure(http.StatusOK)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a.Data, nil
}
