package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// journey is a client's way to a certificate, through whichever node answers.
type journey struct {
	clusterSite
	role string // manual or automatic
	name string // to be certified
	csr  string // of somebody who has a key already
	id   string // of the order
	cert fields // in the end
}

func (c clusterSite) manual() *journey {
	return &journey{clusterSite: c, role: "manual", name: unique() + ".example.com"}
}

func (c clusterSite) automatic() *journey {
	return &journey{clusterSite: c, role: "automatic", name: unique() + "." + bindZone}
}

// many makes as many journeys.
func many(n int, one func() *journey) []*journey {
	out := make([]*journey, n)
	for i := range out {
		out[i] = one()
	}
	return out
}

// ask is insist for requests that have to succeed.
func (j *journey) ask(ctx context.Context, method, path string, body any) (fields, error) {
	a, err := j.insist(ctx, method, path, body)
	if err == nil {
		err = a.failure(http.StatusOK, http.StatusNoContent)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.name, err)
	}
	return a.Data, nil
}

func (j *journey) path() string { return "role/" + j.role + "/order/" + j.id }

// begin orders.
func (j *journey) begin(ctx context.Context) error {
	wish := fields{"identifiers": j.name}
	if j.csr != "" {
		wish = fields{"csr": j.csr}
	}
	got, err := j.ask(ctx, http.MethodPost, "role/"+j.role+"/new-order", wish)
	if err == nil {
		j.id = fmt.Sprint(got["order_id"])
	}
	return err
}

// await waits until the order is in one of the states.
func (j *journey) await(ctx context.Context, states ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	return testbed.Until(ctx, func(ctx context.Context) error {
		got, err := j.ask(ctx, http.MethodGet, j.path()+"/status", nil)
		if err != nil {
			return err
		}
		state, _ := got["order_status"].(string)
		if slices.Contains(states, state) {
			return nil
		}
		if slices.Contains(finalStates, state) {
			giveUp(errors.New("the order will not change any more"))
		}
		return fmt.Errorf("%s: order %s is %q, want %q; last_error %q", j.name, j.id, state, states, got["last_error"])
	})
}

// report puts the challenge in place and says so.
func (j *journey) report(ctx context.Context) error {
	if err := j.await(ctx, stateAwaiting); err != nil {
		return err
	}
	which := fields{"identifier": j.name, "challenge_type": "http-01"}
	query := url.Values{"identifier": {j.name}, "challenge_type": {"http-01"}}
	challenge, err := j.ask(ctx, http.MethodGet, j.path()+"/challenge?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	if err := j.Web.Publish(fmt.Sprint(challenge["challenge_token"]), fmt.Sprint(challenge["challenge_auth"])); err != nil {
		return err
	}
	_, err = j.ask(ctx, http.MethodPost, j.path()+"/fulfilled-challenge", which)
	return err
}

// start begins an order that Vault proves by itself, and reports the challenge of one that it does not.
func (j *journey) start(ctx context.Context) error {
	if j.role == "automatic" {
		return j.begin(ctx)
	}
	return j.report(ctx)
}

// finish waits for the certificate and fetches it.
func (j *journey) finish(ctx context.Context) (err error) {
	if err := j.await(ctx, stateCompleted); err != nil {
		return err
	}
	j.cert, err = j.ask(ctx, http.MethodGet, j.path()+"/fetch-cert", nil)
	return err
}

// clients is how many clients there are at once.
const clients = 8

// together has the clients take every journey a step on, side by side, and returns what failed.
func together(ctx context.Context, journeys []*journey, step func(*journey, context.Context) error) error {
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		failed  []error
	)
	next := make(chan *journey)
	for range clients {
		running.Go(func() {
			for j := range next {
				if err := step(j, ctx); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, j := range journeys {
		next <- j
	}
	close(next)
	running.Wait()
	return errors.Join(failed...)
}

// must is together for tests.
func must(t *testing.T, journeys []*journey, step func(*journey, context.Context) error) {
	t.Helper()
	if err := together(t.Context(), journeys, step); err != nil {
		t.Fatal(err)
	}
}

// take is must for one journey and several steps.
func (j *journey) take(t *testing.T, steps ...func(*journey, context.Context) error) {
	t.Helper()
	for _, step := range steps {
		if err := step(j, t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
