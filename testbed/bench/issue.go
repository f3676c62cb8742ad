package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/api"
)

// pollInterval is how often an order's status is asked for while it is timed:
// what is measured is longer by half of it.
const pollInterval = 5 * time.Millisecond

// issuePatience is how long one certificate may take before it counts as failed.
const issuePatience = time.Minute

// timing is how long an issuance through Vault took.
type timing struct {
	whole      time.Duration // from sending new-order to having fetched the certificate
	challenges time.Duration // from sending new-order to seeing the challenges
	completion time.Duration // from sending the last fulfilled-challenge to seeing completed
}

// issue gets a certificate through Vault, as a client does.
func (a *authority) issue(ctx context.Context, names []string) (t timing, err error) {
	ctx, cancel := context.WithTimeout(ctx, issuePatience)
	defer cancel()
	began := time.Now()
	order, err := a.newOrder(ctx, names)
	if err != nil {
		return t, err
	}
	if err := a.await(ctx, order, "awaiting-challenge-fulfillment"); err != nil {
		return t, err
	}
	t.challenges = time.Since(began)
	var last time.Time
	for _, name := range names {
		if err := a.publish(ctx, order, name); err != nil {
			return t, err
		}
		last = time.Now()
		if err := a.report(ctx, order, name); err != nil {
			return t, err
		}
	}
	if err := a.await(ctx, order, "completed"); err != nil {
		return t, err
	}
	t.completion = time.Since(last)
	_, err = a.read(ctx, order+"/fetch-cert", nil)
	t.whole = time.Since(began)
	return t, err
}

// order gets a certificate and gives the path of its order.
func (a *authority) order(ctx context.Context, names []string) (string, error) {
	order, err := a.newOrder(ctx, names)
	if err != nil {
		return "", err
	}
	return order, a.finish(ctx, order, names, pollInterval)
}

// finish waits for the challenges of an order, answers them, and waits for the
// certificate.
func (a *authority) finish(ctx context.Context, order string, names []string, interval time.Duration) error {
	if err := a.awaitEvery(ctx, interval, order, "awaiting-challenge-fulfillment"); err != nil {
		return err
	}
	for _, name := range names {
		if err := a.publish(ctx, order, name); err != nil {
			return err
		}
		if err := a.report(ctx, order, name); err != nil {
			return err
		}
	}
	return a.awaitEvery(ctx, interval, order, "completed")
}

// newOrder gives the path of the new order.
func (a *authority) newOrder(ctx context.Context, names []string) (string, error) {
	answer, err := a.vault.Logical().WriteWithContext(ctx, a.rolePath()+"/new-order", map[string]any{"identifiers": names})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/order/%s", a.rolePath(), answer.Data["order_id"]), nil
}

// publish puts the http-01 challenge of a name on the web server.
func (a *authority) publish(ctx context.Context, order, name string) error {
	c, err := a.read(ctx, order+"/challenge", challengeOf(name))
	if err != nil {
		return err
	}
	return a.bed.Web.Publish(fmt.Sprint(c.Data["challenge_token"]), fmt.Sprint(c.Data["challenge_auth"]))
}

// report tells Vault that the challenge of a name is in place.
func (a *authority) report(ctx context.Context, order, name string) error {
	_, err := a.vault.Logical().WriteWithContext(ctx, order+"/fulfilled-challenge", map[string]any{
		"identifier": name, "challenge_type": "http-01",
	})
	return err
}

func challengeOf(name string) map[string][]string {
	return map[string][]string{"identifier": {name}, "challenge_type": {"http-01"}}
}

func (b *bench) read(ctx context.Context, path string, query map[string][]string) (*api.Secret, error) {
	answer, err := b.vault.Logical().ReadWithDataWithContext(ctx, path, query)
	if err == nil && answer == nil {
		err = fmt.Errorf("%s is not there", path)
	}
	return answer, err
}

// await asks for the status of an order until it is the wanted one.
func (a *authority) await(ctx context.Context, order, want string) error {
	return a.awaitEvery(ctx, pollInterval, order, want)
}

func (a *authority) awaitEvery(ctx context.Context, interval time.Duration, order, want string) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		answer, err := a.read(ctx, order+"/status", nil)
		if err != nil {
			return err
		}
		switch answer.Data["order_status"] {
		case want:
			return nil
		case "error", "expired", "revoked":
			return fmt.Errorf("%s failed: %s", order, answer.Data["last_error"])
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %s, not %s: %w", order, answer.Data["order_status"], want, ctx.Err())
		case <-tick.C:
		}
	}
}
