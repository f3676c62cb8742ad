package pkiexternalca

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// exampleID is the id of the example in a state; all are of one hour.
func exampleID(s order.State) order.ID {
	return order.ID(fmt.Sprintf("019ca943-c200-7000-8000-%012d", slices.Index(order.States, s)))
}

// orderExamples are an order of the identifier workflow in each state, with what it
// has gathered by then, and one of the CSR workflow.
func orderExamples(t testing.TB) map[string]example[order.Order] {
	t.Helper()
	all := map[string]example[order.Order]{}
	for _, state := range order.States {
		all[string(state)] = example[order.Order]{orderPath(exampleID(state)), exampleOrder(t, state)}
	}
	csr := exampleOrder(t, order.StateCompleted)
	csr.ID = "019ca943-c200-7000-8000-000000000099"
	csr.RequestCSR, csr.KeyKind, csr.Population = exampleCSR, "", ""
	all["csr"] = example[order.Order]{orderPath(csr.ID), csr}
	return all
}

func exampleOrder(t testing.TB, state order.State) order.Order {
	t.Helper()
	id := exampleID(state)
	o := *order.New(id, "web", "full", exampleTime)
	o.Entity, o.Owned, o.Rev = "entity-1", true, 3
	for _, name := range []string{"www.example.com", "*.Example.com"} {
		value := map[string]string{"*.Example.com": "*.example.com"}[name]
		if value == "" {
			value = name
		}
		o.Identifiers = append(o.Identifiers, order.Identifier{Requested: name, Identifier: acme.Identifier{Type: acme.DNS, Value: value}})
	}
	o.Allowed, o.KeyKind, o.Population = acme.ChallengeTypes, keys.EC256, order.CNFirst
	o.Profile, o.PreferredChain, o.DNSProvider = "shortlived", "Throwaway CA", "rfc2136/internal"
	o.State = state
	at := slices.Index(order.States, state)
	if at >= slices.Index(order.States, order.StateSubmitted) {
		o.URL, o.FinalizeURL, o.Expires = "https://ca.example/order/1", "https://ca.example/order/1/finalize", exampleTime.Add(7*day)
	}
	if at >= slices.Index(order.States, order.StateAwaiting) {
		o.Authorizations = exampleAuthorizations()
		o.ProofsSince = exampleTime.Add(time.Minute)
		o.OldProofs = []order.Proof{{Place: order.Place{Provider: "rfc2136/internal", Name: "_acme-challenge.example.com"}, Value: "old"}}
		o.Setbacks, o.Note = 1, "a remark"
	}
	if at >= slices.Index(order.States, order.StateFinalizing) {
		block, _ := pem.Decode([]byte(exampleCSR))
		o.CSR, o.WithoutCN, o.CertificateURL = block.Bytes, true, "https://ca.example/certificate/1"
	}
	switch state {
	case order.StateCompleted, order.StateRevoked:
		o.Serial, o.NotBefore, o.NotAfter = "4f:a1:02:99", exampleTime, exampleTime.Add(90*day)
	case order.StateExpired, order.StateError:
		o.LastError = "the CA said no"
	default:
		o.Tries, o.Failures, o.LastError, o.Due = 2, 1, "no answer", exampleTime.Add(time.Hour)
	}
	if o.Final() {
		o.Due = time.Time{}
	}
	return o
}

func exampleAuthorizations() []order.Authorization {
	challenge := func(t acme.ChallengeType) acme.Challenge {
		return acme.Challenge{Type: t, URL: "https://ca.example/challenge/" + string(t), Status: acme.StatusPending, Token: "token"}
	}
	failed := challenge(acme.HTTP01)
	failed.Status = acme.StatusInvalid
	failed.Error = &acme.Problem{Type: "urn:ietf:params:acme:error:dns", Detail: "no such name", Status: http.StatusBadRequest}
	return []order.Authorization{
		{
			URL: "https://ca.example/authorization/1", Identifier: acme.Identifier{Type: acme.DNS, Value: "www.example.com"},
			Status: acme.StatusPending, Expires: exampleTime.Add(7 * day), Challenges: []acme.Challenge{failed, challenge(acme.DNS01)},
			Fulfilled: acme.HTTP01,
		},
		{
			URL: "https://ca.example/authorization/2", Identifier: acme.Identifier{Type: acme.DNS, Value: "*.example.com"},
			Status: acme.StatusPending, Expires: exampleTime.Add(7 * day), Challenges: []acme.Challenge{challenge(acme.DNS01)},
			Proof:   &order.Proof{Place: order.Place{Provider: "rfc2136/internal", Name: "_acme-challenge.example.com"}, Value: "digest"},
			Written: true,
		},
	}
}

func exampleCertificate(chain []string) order.Certificate {
	return order.Certificate{
		Leaf: exampleLeaf, Chain: chain, Serial: "4f:a1:02:99", AuthorityKeyID: "01:02:03:04",
		NotBefore: exampleTime, NotAfter: exampleTime.Add(90 * day),
	}
}

// versionOfStored is 0 for what is no record.
func versionOfStored(raw []byte) int {
	var envelope struct{ Version int }
	if json.Unmarshal(raw, &envelope) != nil {
		return 0
	}
	return envelope.Version
}

// TestRecordsAreServed mounts the engine on all that was ever stored, and asks for
// it.
func TestRecordsAreServed(t *testing.T) {
	t.Parallel()
	storage := &logical.InmemStorage{}
	for _, f := range families(t) {
		for _, name := range f.examples {
			raw, err := f.write(t.Context(), name)
			if err == nil {
				err = storage.Put(t.Context(), &logical.StorageEntry{Key: f.prefix + f.at(name), Value: raw})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	m := atRest(newMount(t, func(m *mount) {
		m.now = func() time.Time { return exampleTime.Add(time.Hour) }
		m.entity = "entity-1"
		m.system.entities = map[string]*logical.Entity{"entity-1": {ID: "entity-1", Name: "alice"}}
	}))
	m.storage = storage // nobody works on it: there is no such CA
	for _, name := range []string{"plain", "full", "changing"} {
		m.read("config/acme-account/"+name, nil)
	}
	for _, name := range []string{"least", "web"} {
		m.read("role/"+name, nil)
	}
	for kind := range exampleSettings {
		m.read("config/dns/"+kind+"/example", nil)
	}
	if config := m.read("config", nil); config["tidy_completed_after"] != int64(0) || config["max_requests_per_account"] != 32 {
		t.Errorf("the configuration is %v", config)
	}
	for _, state := range order.States {
		got := m.read("lookup/order/"+string(exampleID(state)), nil)
		if got["order_status"] != state.Status() {
			t.Errorf("the order in state %s is %v", state, got["order_status"])
		}
	}
	completed := m.read("role/web/order/"+string(exampleID(order.StateCompleted))+"/fetch-cert", nil)
	if completed["certificate"] != exampleLeaf || completed["private_key"] != exampleOrderKey {
		t.Errorf("what is fetched is %v", completed["certificate"])
	}
	if found := m.read("lookup/cert/4fa10299", nil); found["order_id"] != string(exampleID(order.StateCompleted)) {
		t.Errorf("the serial number leads to %v", found["order_id"])
	}
}
