package pkiexternalca

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// clockAhead is a mount in the future.
func clockAhead(by time.Duration) option {
	return func(m *mount) { m.now = func() time.Time { return time.Now().Add(by) } }
}

// TestIssueAtOnce: five hundred instances of an application start together, and
// ask until they have a certificate.
func TestIssueAtOnce(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	var made atomic.Int32
	ca.Certify(func(*x509.Certificate) { made.Add(1) })
	var mu sync.Mutex
	var running sync.WaitGroup
	serials := map[string]bool{}
	for range 500 {
		running.Go(func() {
			eventually(t, "the certificate", func() bool {
				resp, status, problem := m.send(logical.UpdateOperation, issue, fields{"identifiers": "a.example.com"})
				switch status {
				case http.StatusOK:
					mu.Lock()
					defer mu.Unlock()
					serials[resp.Data["serial_number"].(string)] = true
					return true
				case http.StatusServiceUnavailable:
					return false
				}
				t.Errorf("status %d: %s", status, problem)
				return true
			})
		})
	}
	running.Wait()
	if n, m := ca.Count(acmetest.NewOrder), made.Load(); n != 1 || m != 1 || len(serials) != 1 {
		t.Errorf("the CA was asked for %d orders and made %d certificates; %d were given away", n, m, len(serials))
	}
}

// TestIssueInTime: when a certificate that is there is good enough. It lives for
// 90 days from the start.
func TestIssueInTime(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	var ahead atomic.Int64
	ca.Certify(func(c *x509.Certificate) {
		now := time.Now().Add(time.Duration(ahead.Load()))
		c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(90*24*time.Hour)
	})
	m.write(issue, fields{"identifiers": "a.example.com", "wait": patient})
	m.unmount()
	for _, row := range []struct {
		reason string
		days   int
		more   fields
		cached bool
	}{
		{"not due", 59, nil, true},
		{"due after two thirds and a little more", 62, nil, false},
		{"old, and good enough for who asks", 75, fields{"min_validity_duration": "24h"}, true},
		{"too old for Vault Agent, whatever is asked", 80, fields{"min_validity_duration": 0}, false},
		{"young, and not good enough", 20, fields{"min_validity_duration": "1700h"}, false},
		{"a share that is left", 20, fields{"min_validity_percentage": 70}, true},
		{"a share that is not", 20, fields{"min_validity_percentage": 80}, false},
		{"expired", 100, nil, false},
	} {
		ahead.Store(int64(row.days) * int64(24*time.Hour))
		later := mountOn(t, copyOf(t, m.storage), clockAhead(time.Duration(ahead.Load())))
		got := later.write(issue, with(fields{"identifiers": "a.example.com", "wait": patient}, row.more))
		if got["cached"] != row.cached {
			t.Errorf("%s: cached is %v after %d days", row.reason, got["cached"], row.days)
		}
		later.unmount()
	}
}

// TestIssueOfTheImpossible: a demand that no certificate of the CA can meet does
// not have one ordered each time.
func TestIssueOfTheImpossible(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	for range 3 {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, issue,
			fields{"identifiers": "a.example.com", "wait": patient, "min_validity_duration": "87600h"}, "min_validity_duration", "send at most")
	}
	if n := ca.Count(acmetest.NewOrder); n != 1 {
		t.Errorf("the CA was asked for %d orders", n)
	}
}

// TestIssueAcrossARestart: what was under way before is joined after.
func TestIssueAcrossARestart(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	ca.On(acmetest.Finalize, acmetest.Hang())
	_, status, problem := m.send(logical.UpdateOperation, issue, fields{"identifiers": "a.example.com", "wait": 0})
	if status != http.StatusServiceUnavailable {
		t.Fatalf("status %d: %s", status, problem)
	}
	_, rest, _ := strings.Cut(problem, "(order_id=")
	id, _, _ := strings.Cut(rest, " ")
	eventually(t, "the CA to be asked", func() bool { return ca.Count(acmetest.Finalize) > 0 })
	m.unmount()
	ca.On(acmetest.Finalize, nil)
	m = mountOn(t, m.storage)
	if got := m.write(issue, fields{"identifiers": "a.example.com", "wait": patient}); got["order_id"] != id {
		t.Errorf("the certificate is of order %v, want %s", got["order_id"], id)
	}
}

// TestIssueSurvivesItsStorage lets the storage fail at every write that one call
// leads to, and die there. Whoever asks on gets the certificate, and the CA made
// one only.
func TestIssueSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	trial := newOrderTrial(t)
	trial.ca.PreAuthorize()
	trials := newCrowd(t)
	defer trials.wait()
	writes := trial.issue(t, "", 0)
	for _, kind := range failures {
		for n := 1; n <= writes; n++ {
			trials.run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) { trial.issue(t, kind, n) })
		}
	}
}

// issue asks for a certificate until it is there, on a storage that fails at the
// nth write, and gives the number of writes.
func (o *orderTrial) issue(t *testing.T, kind failure, n int) int {
	storage := &frail{Storage: copyOf(t, o.base), kind: kind}
	client := &persistent{mount: mountOn(t, storage), storage: storage}
	client.name = fmt.Sprintf("n%d-%sx.example.com", n, strings.ReplaceAll(string(kind), " ", "-"))
	storage.arm(n)
	alive := client.insistOnIssue()
	writes := storage.count()
	if !alive {
		client.unmount()
		client.storage = &frail{Storage: storage.Storage}
		client.mount = mountOn(t, client.storage)
		client.insistOnIssue()
	}
	client.awaitStatus("web", client.id, "completed") // its certificate may come a moment earlier
	o.check(t, client)
	return writes
}

func (p *persistent) insistOnIssue() bool {
	p.t.Helper()
	return p.insist(logical.UpdateOperation, issue, fields{"identifiers": p.name, "wait": 1}, func(answer fields) bool {
		p.id = answer["order_id"].(string)
		return true
	})
}

// TestWaiting: requests that wait are few, and end with the engine, with their
// clients, and without a trace.
func TestWaiting(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	ca.On(acmetest.NewOrder, acmetest.Hang())
	m.write("config", fields{"max_waiting_requests": 2})
	answers := make(chan string, 3)
	wait := func(ctx context.Context, name string) {
		req := &logical.Request{
			Operation: logical.UpdateOperation, Path: issue, Storage: m.storage, Data: fields{"identifiers": name, "wait": patient},
		}
		_, err := m.b.HandleRequest(ctx, req)
		answers <- fmt.Sprint(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	go wait(ctx, "a.example.com")
	go wait(t.Context(), "b.example.com")
	eventually(t, "two requests to wait", func() bool { return m.b.watches.Len() == 2 })
	m.refused(http.StatusServiceUnavailable, logical.UpdateOperation, issue, fields{"identifiers": "a.example.com", "wait": patient}, "2 requests are waiting already")

	leave()
	<-answers
	eventually(t, "the place to become free", func() bool { return m.b.watches.Len() == 1 })
	go wait(t.Context(), "a.example.com")
	eventually(t, "it to be taken", func() bool { return m.b.watches.Len() == 2 })

	m.unmount()
	for range 2 {
		if got := <-answers; !strings.Contains(got, "no work to do") {
			t.Errorf("a request that waited for an engine that ended is answered with: %s", got)
		}
	}
	if n := m.b.watches.Len(); n != 0 {
		t.Errorf("%d requests wait", n)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	if got := m.read("config", nil)["max_waiting_requests"]; got != 64 {
		t.Errorf("the default is %v", got)
	}
	for _, n := range []any{0, -1, 1001, "many"} {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, "config", fields{"max_waiting_requests": n}, "max_waiting_requests")
	}
}
