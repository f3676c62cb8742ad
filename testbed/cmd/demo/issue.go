package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// patience is how long the demo waits for a state that the CA and the plugin reach in seconds.
const patience = 2 * time.Minute

// States of an order at which somebody else has to act, or nobody any more.
const (
	awaiting  = "awaiting-challenge-fulfillment"
	completed = "completed"
)

// final tells whether an order in this state stays as it is.
func final(state string) bool {
	switch state {
	case completed, "expired", "revoked", "error":
		return true
	}
	return false
}

// issue orders a certificate, answers the CA's challenges, and fetches it into file.
func (d *demo) issue(ctx context.Context, file, request string) (issued, error) {
	order, err := d.order(ctx, role, request)
	if err != nil {
		return issued{}, err
	}
	if err := d.await(ctx, order, awaiting); err != nil {
		return issued{}, err
	}
	if err := d.answerChallenges(ctx, order); err != nil {
		return issued{}, err
	}
	return d.collect(ctx, order, file)
}

// order places an order with a role and returns its path.
func (d *demo) order(ctx context.Context, role, request string) (path string, err error) {
	table, err := d.vault(ctx, "write", role+"/new-order", request)
	if err != nil {
		return "", err
	}
	id, err := value(table, "order_id")
	return role + "/order/" + id, err
}

// collect waits for the certificate of an order and fetches it into file.
func (d *demo) collect(ctx context.Context, order, file string) (issued, error) {
	if err := d.await(ctx, order, completed); err != nil {
		return issued{}, err
	}
	text, err := d.vaultInto(ctx, file, "read", "-format=json", order+"/fetch-cert")
	if err != nil {
		return issued{}, err
	}
	return d.inspect(ctx, order, text)
}

// await asks for the state of an order until it is the wanted one, and shows each state it passes through.
func (d *demo) await(ctx context.Context, order, want string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	shown := ""
	return testbed.Until(ctx, func(ctx context.Context) error {
		out, err := d.bed.Vault.Run(ctx, "read", "-field=order_status", order+"/status")
		if err != nil {
			return err
		}
		state := strings.TrimSpace(out)
		if state != shown {
			d.say("\n$ vault read -field=order_status %s/status\n%s", order, state)
			shown = state
		}
		if state == want {
			return nil
		}
		if final(state) {
			giveUp(d.lastError(ctx, order))
		}
		return fmt.Errorf("the order is %s, not %s", state, want)
	})
}

// lastError is what the order says of its own failure.
func (d *demo) lastError(ctx context.Context, order string) error {
	text, err := d.bed.Vault.Run(ctx, "read", "-field=last_error", order+"/status")
	if err != nil {
		return err
	}
	return fmt.Errorf("the order will not change any more: %s", text)
}

// answerChallenges fetches the http-01 challenge of each identifier, lets the web server answer it, and
// tells Vault.
func (d *demo) answerChallenges(ctx context.Context, order string) error {
	names, err := d.bed.Vault.Run(ctx, "read", "-field=identifiers", order+"/status")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(strings.Trim(names, "[]\n")) {
		which := []string{"identifier=" + name, "challenge_type=http-01"}
		table, err := d.vault(ctx, append([]string{"read", order + "/challenge"}, which...)...)
		if err != nil {
			return err
		}
		if err := d.serve(name, table); err != nil {
			return err
		}
		if _, err := d.vault(ctx, append([]string{"write", order + "/fulfilled-challenge"}, which...)...); err != nil {
			return err
		}
	}
	return nil
}

// serve puts the answer where the web server of the site finds it.
func (d *demo) serve(name, table string) error {
	token, err := value(table, "challenge_token")
	if err != nil {
		return err
	}
	authorization, err := value(table, "challenge_auth")
	if err != nil {
		return err
	}
	d.say("\nThe web server of %s now serves /.well-known/acme-challenge/%s", name, token)
	return d.bed.Web.Publish(token, authorization)
}
