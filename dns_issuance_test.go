package pkiexternalca

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
)

const tsigSecret = "c2VjcmV0IGZvciB0ZXN0cyBvbmx5"

// dnsMount is a mount whose CA and whose DNS providers share one DNS server.
type dnsMount struct {
	*mount
	server *dns01test.Server
}

// newDNSMount mounts the engine with the account "ca" and the DNS provider
// rfc2136/internal for everything at and below example.com.
func newDNSMount(t *testing.T, settings map[string]any) *dnsMount {
	t.Helper()
	server := dns01test.Serve(t, map[string]string{"vault.": tsigSecret}, "example.com.", "example.net.")
	ca := acmetest.Pebble(t, acmetest.ValidateAt(&acmetest.ResponderServer{Resolver: server.Addr}))
	d := &dnsMount{mount: newMount(t), server: server}
	d.b.dns.dial = server.Dial
	d.withAccount(ca.DirectoryURL, ca.TrustedCA)
	d.provider("internal", settings)
	return d
}

// provider configures a DNS provider of the type rfc2136.
func (d *dnsMount) provider(name string, settings map[string]any) {
	d.t.Helper()
	data := map[string]any{
		"identifiers": "example.com,*.example.com",
		"nameserver":  d.server.Addr, "tsig_key_name": "vault.", "tsig_secret": tsigSecret,
		"nameservers": d.server.Addr, "propagation_interval": "1s", "propagation_timeout": "5s",
	}
	maps.Copy(data, settings)
	d.write("config/dns/rfc2136/"+name, data)
}

// noRecords waits until no proof is left in the DNS.
func (d *dnsMount) noRecords(names ...string) {
	d.t.Helper()
	for _, name := range names {
		eventually(d.t, "no TXT record at "+name, func() bool { return len(d.server.TXT(name)) == 0 })
	}
}

// TestVaultFulfillsDNS is the job of DNS-01: a wildcard and its apex, nobody
// touches DNS, and nothing is left there.
func TestVaultFulfillsDNS(t *testing.T) {
	t.Parallel()
	d := newDNSMount(t, nil)
	d.withRole(nil)
	id := d.order(map[string]any{"identifiers": "*.example.com,example.com"})
	status := d.awaitStatus("web", id, "completed")
	for name, list := range status["challenges"].(map[string]any) {
		for _, c := range list.([]any) {
			c := c.(map[string]any)
			want := "true"
			if c["challenge_type"] == "dns-01" {
				want = "false"
			}
			if c["requires_manual_fulfillment"] != want {
				t.Errorf("%s %s: requires_manual_fulfillment is %v", name, c["challenge_type"], c["requires_manual_fulfillment"])
			}
		}
	}
	d.noRecords("_acme-challenge.example.com.")
	if d.server.Updates() < 4 {
		t.Errorf("%d updates; two values were to be written and removed", d.server.Updates())
	}
}

// TestOthersValuesStay holds the rule that a TXT record set is shared.
func TestOthersValuesStay(t *testing.T) {
	t.Parallel()
	d := newDNSMount(t, nil)
	d.server.Set(t, `_acme-challenge.www.example.com. 60 IN TXT "somebody else's"`)
	d.withRole(nil)
	d.awaitStatus("web", d.order(map[string]any{"identifiers": "www.example.com"}), "completed")
	eventually(t, "only the other's value to be left", func() bool {
		left := d.server.TXT("_acme-challenge.www.example.com.")
		return len(left) == 1 && left[0] == "somebody else's"
	})
}

// TestDelegation holds where records are written when their names are aliases.
func TestDelegation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		reason, alias string
		identifiers   string // of the second provider; "" for none
		status        string
		cause         string
	}{
		{"the record is written where the alias leads", "a.example.net.", "*.example.net", "completed", ""},
		{"an alias must not steer credentials to a zone outside", "a.example.net.", "", "error", "which no DNS provider has among its identifiers"},
		{"a circle of aliases is told as such", "_acme-challenge.www.example.com.", "", "error", "circle"},
	} {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			d := newDNSMount(t, nil)
			if test.identifiers != "" {
				d.provider("other", map[string]any{"identifiers": test.identifiers})
			}
			d.server.Set(t, "_acme-challenge.www.example.com. 60 IN CNAME "+test.alias)
			d.withRole(nil)
			id := d.order(map[string]any{"identifiers": "www.example.com"})
			d.endsAs(id, test.status, test.cause)
			d.noRecords("a.example.net.")
		})
	}
}

// endsAs waits for an order to be final, and checks how and why.
func (m *mount) endsAs(id, want, cause string) {
	m.t.Helper()
	var o map[string]any
	eventually(m.t, "order to be "+want, func() bool {
		o = m.read("role/web/order/"+id+"/status", nil)
		return o["order_status"] == want || o["order_status"] == "error" || o["order_status"] == "completed"
	})
	if o["order_status"] != want || !strings.Contains(o["last_error"].(string), cause) {
		m.t.Errorf("the order is %s (%s), want %s (%s)", o["order_status"], o["last_error"], want, cause)
	}
}

// TestHybridOrder holds that names without a provider are waited for, and that
// the CA hears of none before all are ready.
func TestHybridOrder(t *testing.T) {
	t.Parallel()
	d := newDNSMount(t, map[string]any{"identifiers": "www.example.com"})
	d.withRole(nil)
	id := d.order(map[string]any{"identifiers": "www.example.com,api.example.com"})
	d.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	if n := d.server.Updates(); n != 0 {
		t.Fatalf("%d records were written before the manual challenge was reported", n)
	}
	which := map[string]any{"identifier": "api.example.com", "challenge_type": "dns-01"}
	c := d.read("role/web/order/"+id+"/challenge", which)
	d.server.Set(t, c["dns_record_name"].(string)+`. 60 IN TXT "`+c["dns_record_value"].(string)+`"`)
	d.write("role/web/order/"+id+"/fulfilled-challenge", which)
	d.awaitStatus("web", id, "completed")
	d.noRecords("_acme-challenge.www.example.com.")
}

// TestProviderFails holds that an order ends with the cause when DNS does not
// take the record, and that a mended provider saves it.
func TestProviderFails(t *testing.T) {
	t.Parallel()
	wrong := map[string]any{"tsig_secret": "d3Jvbmcgc2VjcmV0IGZvciB0ZXN0cw=="}
	t.Run("wrong key", func(t *testing.T) {
		t.Parallel()
		d := newDNSMount(t, wrong)
		d.withRole(nil)
		d.endsAs(d.order(map[string]any{"identifiers": "www.example.com"}), "error", "rfc2136/internal")
	})
	t.Run("the key is mended in time", func(t *testing.T) {
		t.Parallel()
		d := newDNSMount(t, wrong)
		d.provider("internal", map[string]any{"propagation_timeout": "60s", "tsig_secret": wrong["tsig_secret"]})
		d.withRole(nil)
		id := d.order(map[string]any{"identifiers": "www.example.com"})
		eventually(t, "the failure to be shown", func() bool {
			return strings.Contains(d.read("role/web/order/"+id+"/status", nil)["last_error"].(string), "_acme-challenge.www.example.com")
		})
		d.write("config/dns/rfc2136/internal", map[string]any{"tsig_secret": tsigSecret})
		d.awaitStatus("web", id, "completed")
	})
}

// TestDNSProviderPaths holds configuration, listing, redaction and deletion.
func TestDNSProviderPaths(t *testing.T) {
	t.Parallel()
	d := newDNSMount(t, nil)
	got := d.read("config/dns/rfc2136/internal", nil)
	if got["ttl"] != int64(60) || got["tsig_algorithm"] != "hmac-sha256" || got["tsig_secret"] != nil {
		t.Errorf("read %v", got)
	}
	if keys := d.list("config/dns/", nil); len(keys) != 1 || keys[0] != "rfc2136/internal" {
		t.Errorf("listed %v", keys)
	}
	d.withRole(map[string]any{"dns_provider_type": "rfc2136", "dns_provider_name": "internal"})
	d.refused(http.StatusConflict, logical.DeleteOperation, "config/dns/rfc2136/internal", nil, "web")
	d.withRole(map[string]any{"dns_provider_type": "", "dns_provider_name": ""})
	d.delete("config/dns/rfc2136/internal", nil)
	d.refused(http.StatusNotFound, logical.ReadOperation, "config/dns/rfc2136/internal", nil)
}

// TestDNSWorkflow holds the trial of a provider.
func TestDNSWorkflow(t *testing.T) {
	t.Parallel()
	d := newDNSMount(t, nil)
	ask := map[string]any{"identifier": "www.example.com", "provider_type": "rfc2136", "provider_name": "internal"}
	got := d.write("dns/test/workflow", ask)
	if got["success"] != true || got["record_name"] != "_acme-challenge.www.example.com." {
		t.Errorf("the trial answered %v", got)
	}
	d.noRecords("_acme-challenge.www.example.com.")
	ask["omit_cleanup"] = true
	d.write("dns/test/workflow", ask)
	if len(d.server.TXT("_acme-challenge.www.example.com.")) != 1 {
		t.Error("with omit_cleanup the record must stay")
	}
	ask["identifier"] = "www.example.org"
	d.refused(http.StatusBadRequest, logical.UpdateOperation, "dns/test/workflow", ask, "not covered")
	d.write("config/dns/rfc2136/internal", map[string]any{"tsig_secret": "d3Jvbmcgc2VjcmV0IGZvciB0ZXN0cw=="})
	ask["identifier"] = "www.example.com"
	resp, status, _ := d.send(logical.UpdateOperation, "dns/test/workflow", ask)
	if status != http.StatusBadRequest || !strings.Contains(resp.Data["error"].(string), "failed to create") {
		t.Errorf("a failed trial answered %d %v", status, resp.Data)
	}
	if data := resp.Data["data"].(map[string]any); data["success"] != false || data["message"] == "" {
		t.Errorf("a failed trial has the data %v", data)
	}
}
