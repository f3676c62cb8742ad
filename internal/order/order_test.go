package order

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

func TestAdvanceLeavesAFinalOrderAlone(t *testing.T) {
	t.Parallel()
	for _, s := range States {
		w := newWorld(t)
		o := w.add("www.example.com")
		o.State = s
		if Life[s].step != nil {
			continue
		}
		if Advance(context.Background(), w.env(), o) || o.State != s || !o.Updated.Equal(start) || len(w.ca.requests) > 0 {
			t.Errorf("%s: advanced to %s after the requests %v", s, o.State, w.ca.requests)
		}
	}
}

// TestAdvanceWithoutContext holds that a process that ends changes no order:
// what failed because of that is no failure of the order's.
func TestAdvanceWithoutContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, s := range States {
		w := newWorld(t)
		o := w.add("www.example.com")
		o.State = s
		for _, deadline := range []time.Time{o.Deadline, start.Add(-time.Hour)} {
			o.Deadline = deadline
			if Advance(ctx, w.env(), o) {
				t.Errorf("%s: to be stored as %s though the context has ended", s, o.State)
			}
		}
	}
}

// TestAdvanceFromAnUnknownState holds that a record of another release ends as
// an error instead of being worked on for ever, or never.
func TestAdvanceFromAnUnknownState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.add("www.example.com")
	o.State = "presenting"
	if o.Final() {
		t.Error("an unknown state is taken for a final one, so nobody would look at it")
	}
	if !Advance(context.Background(), w.env(), o) || o.State != StateError || !strings.Contains(o.LastError, `"presenting"`) {
		t.Errorf("ended as %s: %s", o.State, o.LastError)
	}
}

// TestAdvanceRefusesAWayThatIsNotInTheTable guards against a step that returns
// what the table does not know.
func TestAdvanceRefusesAWayThatIsNotInTheTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.add("www.example.com")
	o.apply(Life[StateNew], move{to: StateCompleted}, nil, w.env())
	if o.State != StateError || !strings.Contains(o.LastError, "may not go") {
		t.Errorf("went to %s: %s", o.State, o.LastError)
	}
}

func TestStatusIsWhatClientsCompare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state          State
		status, legacy string
	}{
		{StateAwaiting, "awaiting-challenge-fulfillment", "awaiting_challenge_fulfillment"},
		{StateKeying, "fetching-certificate", "fetching_certificate"},
		{StateFinalizing, "fetching-certificate", "fetching_certificate"},
		{StateCollecting, "fetching-certificate", "fetching_certificate"},
		{StateNotifying, "notify-acme-server-challenges-completed", "notify_acme_server_challenges_completed"},
		{StateCompleted, "completed", "completed"},
	} {
		if test.state.Status() != test.status || test.state.LegacyStatus() != test.legacy {
			t.Errorf("%s is shown as %s and %s", test.state, test.state.Status(), test.state.LegacyStatus())
		}
	}
}

func TestEndsFromOutside(t *testing.T) {
	t.Parallel()
	for _, s := range States {
		o := New("id", "role", "account", start)
		o.State = s
		o.Abandon("role was deleted", start.Add(time.Hour))
		switch {
		case Life[s].step == nil && (o.State != s || o.LastError != ""):
			t.Errorf("%s: a final order became %s (%s)", s, o.State, o.LastError)
		case Life[s].step != nil && (o.State != StateError || o.LastError == "" || !o.Due.IsZero() || !o.Updated.Equal(start.Add(time.Hour))):
			t.Errorf("%s: abandoned as %s (%s), due %s", s, o.State, o.LastError, o.Due)
		}
	}
	o := New("id", "role", "account", start)
	o.State = StateCompleted
	if o.MarkRevoked(start.Add(time.Hour)); o.State != StateRevoked || !o.Updated.Equal(start.Add(time.Hour)) || o.LastError != "" {
		t.Errorf("revoked as %+v", o)
	}
}

func TestRequestedAndValues(t *testing.T) {
	t.Parallel()
	o := New("id", "role", "account", start)
	o.Identifiers = []Identifier{
		{"räksmörgås.se", acme.Identifier{Type: acme.DNS, Value: "xn--rksmrgs-5wao1o.se"}},
		{"*.Example.com", acme.Identifier{Type: acme.DNS, Value: "*.example.com"}},
	}
	if got := o.Requested(); !slices.Equal(got, []string{"räksmörgås.se", "*.Example.com"}) {
		t.Errorf("requested %v", got)
	}
	if got := o.Values(); !slices.Equal(got, []string{"xn--rksmrgs-5wao1o.se", "*.example.com"}) {
		t.Errorf("asked for %v", got)
	}
	for value, want := range map[string]string{"*.example.com": "*.Example.com", "example.com": "example.com"} {
		a := &Authorization{Identifier: acme.Identifier{Type: acme.DNS, Value: value}}
		if got := o.Label(a); got != want {
			t.Errorf("the authorization for %q is shown as %q, want %q", value, got, want)
		}
	}
}

// TestMoment holds that whatever time a CA sends can be stored: a record that
// cannot would have the same step taken over and over.
func TestMoment(t *testing.T) {
	t.Parallel()
	zone := func(hours int) *time.Location { return time.FixedZone("", hours*3600) }
	for _, test := range []struct {
		in, want time.Time
		reason   string
	}{
		{start, start, "as it is"},
		{start.In(zone(5)), start, "in UTC"},
		{time.Time{}, time.Time{}, "not told"},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, zone(-12)), time.Time{}, "the year 10000 in UTC, which JSON does not have"},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), "the last second that it has"},
		{time.Date(1, 1, 1, 0, 0, 0, 0, zone(12)), time.Time{}, "the year 0 in UTC"},
		{start.In(zone(24)), start, "a zone that JSON does not have"},
	} {
		got := moment(test.in)
		if _, err := got.MarshalJSON(); err != nil || !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s, %v", test.reason, got, test.want, err)
		}
	}
}

// TestContextEndsDuringAStep holds that a half-done step is thrown away.
func TestContextEndsDuringAStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	w.ca.faults = []fault{{verb: "newOrder", err: context.Canceled}}
	o := w.add("www.example.com")
	env := w.env()
	env.CA = endsContext{w.ca, cancel}
	if Advance(ctx, env, o) {
		t.Errorf("to be stored as %s: %s", o.State, o.LastError)
	}
}

// endsContext ends the context while the CA is being asked.
type endsContext struct {
	CA
	cancel context.CancelFunc
}

// NewOrder implements CA.
func (e endsContext) NewOrder(ctx context.Context, wish acme.NewOrder) (acme.Order, error) {
	e.cancel()
	return e.CA.NewOrder(ctx, wish)
}
