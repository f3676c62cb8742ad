package pkiexternalca

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// plague is what a CA does at a resource for hours, and how often it is asked
// meanwhile. The order waits, and says why and until when.
type plague struct {
	reason string
	at     acmetest.Resource
	answer func(*acmetest.ScriptServer) acmetest.Handler
	most   int // requests for the resource in six hours
	words  string
}

func always(h acmetest.Handler) func(*acmetest.ScriptServer) acmetest.Handler {
	return func(*acmetest.ScriptServer) acmetest.Handler { return h }
}

// tireless bounds what is repeated after 1, 2, 4 and more seconds up to ten minutes.
const tireless = 50

var plagues = []plague{
	{"a CA that fails", acmetest.NewOrder, always(acmetest.Problem(http.StatusInternalServerError, acme.ServerInternal, "oops")), tireless, "oops"},
	{"a proxy without a CA", acmetest.NewOrder, always(acmetest.HTML(http.StatusBadGateway, "<h1>Bad Gateway</h1>")), tireless, "502"},
	{"a CA that rests for an hour at a time", acmetest.NewOrder, always(acmetest.With("Retry-After", "3600", acmetest.HTML(http.StatusServiceUnavailable, "maintenance"))), 7, "maintenance"},
	{"a limit with a term", acmetest.NewOrder, always(rateLimited("slow down", "3600")), 7, "slow down"},
	{"a limit as a web page, without a term", acmetest.NewOrder, always(acmetest.HTML(http.StatusTooManyRequests, "<h1>Slow down</h1>")), 16, "Slow down"},
	{"connections that break", acmetest.NewOrder, always(acmetest.Cut()), tireless, "placing an order"},
	{"answers that are cut off", acmetest.NewOrder, always(truncated), tireless, "placing an order"},
	{"answers that are lost", acmetest.NewOrder, func(ca *acmetest.ScriptServer) acmetest.Handler { return ca.Lost() }, tireless, "placing an order"},
	{"web pages in the place of orders", acmetest.NewOrder, always(acmetest.HTML(http.StatusOK, "<h1>Welcome</h1>")), tireless, "Welcome"},
	{"authorizations that cannot be had", acmetest.Authorization, always(acmetest.HTML(http.StatusInternalServerError, "oops")), tireless, "oops"},
	{"a limit at the authorizations", acmetest.Authorization, always(rateLimited("slow down", "600")), 37, "slow down"},
	{"challenges that cannot be answered", acmetest.Challenge, always(acmetest.HTML(http.StatusInternalServerError, "oops")), tireless, "oops"},
	{"an order that stays pending", acmetest.Order, edit("status", "pending"), 140, ""},
	{"an order that is processing, with a term for the next look", acmetest.Order, processing("1200"), 20, ""},
	{"a CSR that is not taken by a CA that fails", acmetest.Finalize, always(acmetest.HTML(http.StatusInternalServerError, "oops")), tireless, "oops"},
	{"a certificate that cannot be had", acmetest.Certificate, always(acmetest.Problem(http.StatusNotFound, acme.Malformed, "not yet")), tireless, "not yet"},
	{"a download that is cut off", acmetest.Certificate, always(truncated), tireless, "downloading the certificate"},
}

// processing lets the CA sign without an end.
func processing(retryAfter string) func(*acmetest.ScriptServer) acmetest.Handler {
	return func(ca *acmetest.ScriptServer) acmetest.Handler {
		sign := func(document map[string]any, h http.Header) {
			if ca.Count(acmetest.Finalize) > 0 {
				document["status"] = "processing"
				delete(document, "certificate")
				h.Set("Retry-After", retryAfter)
			}
		}
		ca.On(acmetest.Finalize, ca.Edit(sign))
		return ca.Edit(sign)
	}
}

// truncated announces more than it sends.
func truncated(w http.ResponseWriter, _ *acmetest.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(`{"status": "pen`))
	panic(http.ErrAbortHandler)
}

// TestHostileCAForHours: the CA is not hammered, and whoever looks is told why the
// order waits and until when.
func TestHostileCAForHours(t *testing.T) {
	t.Parallel()
	cas := newCrowd(t)
	defer cas.wait()
	for _, row := range plagues {
		cas.run(row.reason, func(t *testing.T) {
			m, ca, clock := withLimits(t)
			ca.On(row.at, row.answer(ca))
			id := m.order(fields{"identifiers": "www.example.com"})
			m, o := m.hours(clock, id, 6)
			if o.Final() || o.Due.Before(clock.now()) || !strings.Contains(o.LastError, row.words) {
				t.Errorf("the order is %s, due at %s: %s", o.State, o.Due, o.LastError)
			}
			if n := ca.Count(row.at); n == 0 || n > row.most {
				t.Errorf("the CA was asked %d times in six hours, at most %d are fair", n, row.most)
			}
			status := m.read("role/web/order/"+id+"/status", nil)
			if status["last_error"] != o.LastError || status["next_work_date"] == "0001-01-01T00:00:00Z" {
				t.Errorf("shown is %v", status)
			}
		})
	}
}

// hours lets an order be worked on for so long, as if all waits were over at once.
func (m *mount) hours(clock *leaping, id string, n int) (*mount, *order.Order) {
	m.t.Helper()
	end := clock.now().Add(time.Duration(n) * time.Hour)
	for {
		o := m.settled(clock, id)
		if o.Final() || o.Due.After(end) {
			return m, o
		}
		m = clock.leap(m, o.Due.Sub(clock.now())+time.Millisecond)
	}
}

// settled waits until nothing is done about an order now, and reports challenges
// that wait for that.
func (m *mount) settled(clock *leaping, id string) (o *order.Order) {
	m.t.Helper()
	eventually(m.t, "the order to wait or to end", func() bool {
		var err error
		if o, err = orders.Get(m.t.Context(), m.storage, orderPath(order.ID(id))); err != nil {
			m.t.Fatal(err)
		}
		if o.State == order.StateAwaiting {
			m.report(id)
			return false
		}
		return o.Final() || o.Due.After(clock.now())
	})
	return o
}

// flood sends a document without an end, up to a hundred megabytes, and counts
// what was taken.
func flood(taken *atomic.Int64) acmetest.Handler {
	return func(w http.ResponseWriter, _ *acmetest.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/order/1")
		chunk := bytes.Repeat([]byte(" "), 64<<10)
		for range 100 << 20 / len(chunk) {
			n, err := w.Write(chunk)
			taken.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

// TestHostileCAFloods: of a hundred megabytes about one is taken, at every resource
// that is read, and the order goes on when the flood is over.
func TestHostileCAFloods(t *testing.T) {
	t.Parallel()
	for _, at := range []acmetest.Resource{
		acmetest.Directory, acmetest.NewOrder, acmetest.Authorization, acmetest.Challenge, acmetest.Order,
		acmetest.Finalize, acmetest.Certificate,
	} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			m, ca, clock := withLimits(t)
			m = clock.leap(m, time.Minute) // so that the directory is asked for again
			var taken atomic.Int64
			ca.On(at, ca.Times(2, flood(&taken)))
			id := m.order(fields{"identifiers": "www.example.com"})
			m.report(id)
			m.awaitStatus("web", id, "completed")
			if n := ca.Count(at); n == 0 || taken.Load() > int64(n)*(8<<20) {
				t.Errorf("%d bytes were taken in %d answers", taken.Load(), n)
			}
		})
	}
}

// TestHostileCAWithEndlessChains: a chain that is too long is no certificate, and
// is not stored.
func TestHostileCAWithEndlessChains(t *testing.T) {
	t.Parallel()
	for _, links := range []int{100, 1000} {
		t.Run(strconv.Itoa(links), func(t *testing.T) {
			t.Parallel()
			m, ca, clock := withLimits(t)
			ca.On(acmetest.Certificate, func(w http.ResponseWriter, _ *acmetest.Request) {
				w.Header().Set("Content-Type", "application/pem-certificate-chain")
				_, _ = w.Write(bytes.Repeat(selfSigned(t), links))
			})
			id := m.order(fields{"identifiers": "www.example.com"})
			_, o := m.hours(clock, id, 1)
			if o.State == order.StateCompleted || o.LastError == "" {
				t.Errorf("the order is %s: %s", o.State, o.LastError)
			}
			if n := ca.Count(acmetest.Certificate); n > tireless {
				t.Errorf("the chain was asked for %d times", n)
			}
		})
	}
}
