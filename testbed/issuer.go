package testbed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
)

// Issuer orders certificates at one mount, one after the other or side by side, and proves the names by http-01.
type Issuer struct {
	Client *api.Client
	Mount  string
	Role   string
	Domain string     // names are made below it
	Web    *WebServer // that the CA validates against
	// Issued counts the certificates.
	Issued atomic.Int64

	names atomic.Int64
}

// Issue gets one certificate for a new name. What fails for a moment, because Vault or the plugin is being
// restarted, is tried again until ctx ends; an order that fails is an error.
func (i *Issuer) Issue(ctx context.Context) error {
	name := fmt.Sprintf("n%d.%s", i.names.Add(1), i.Domain)
	base := i.Mount + "/role/" + i.Role
	made, err := i.insist(ctx, func(ctx context.Context) (*api.Secret, error) {
		return i.Client.Logical().WriteWithContext(ctx, base+"/new-order", map[string]any{"identifiers": name})
	})
	if err != nil {
		return err
	}
	path := fmt.Sprintf("%s/order/%s", base, made.Data["order_id"])
	for state := ""; state != "completed"; {
		status, err := i.insist(ctx, func(ctx context.Context) (*api.Secret, error) {
			return i.Client.Logical().ReadWithContext(ctx, path+"/status")
		})
		if err != nil {
			return err
		}
		switch state, _ = status.Data["order_status"].(string); state {
		case "error", "expired":
			return fmt.Errorf("order %s for %s is %s: %v", made.Data["order_id"], name, state, status.Data["last_error"])
		case "awaiting-challenge-fulfillment":
			if err := i.fulfill(ctx, path, name); err != nil {
				return err
			}
		}
		if err := pause(ctx, pollInterval); err != nil {
			return err
		}
	}
	i.Issued.Add(1)
	return nil
}

func (i *Issuer) fulfill(ctx context.Context, path, name string) error {
	which := map[string][]string{"identifier": {name}, "challenge_type": {"http-01"}}
	challenge, err := i.insist(ctx, func(ctx context.Context) (*api.Secret, error) {
		return i.Client.Logical().ReadWithDataWithContext(ctx, path+"/challenge", which)
	})
	if err != nil {
		return err
	}
	token, _ := challenge.Data["challenge_token"].(string)
	proof, _ := challenge.Data["challenge_auth"].(string)
	if err := i.Web.Publish(token, proof); err != nil {
		return err
	}
	_, err = i.insist(ctx, func(ctx context.Context) (*api.Secret, error) {
		return i.Client.Logical().WriteWithContext(ctx, path+"/fulfilled-challenge", map[string]any{"identifier": name, "challenge_type": "http-01"})
	})
	if refusal, ok := errors.AsType[*api.ResponseError](err); ok && refusal.StatusCode == http.StatusConflict {
		return nil // it was reported before an interruption
	}
	return err
}

// insist repeats a request until Vault answers it, with whatever. Only an answer that something is wrong with the
// request ends it early.
func (i *Issuer) insist(ctx context.Context, ask func(context.Context) (*api.Secret, error)) (*api.Secret, error) {
	for {
		answer, err := ask(ctx)
		refusal, refused := errors.AsType[*api.ResponseError](err)
		switch {
		case err == nil && answer != nil:
			return answer, nil
		case err == nil:
			return &api.Secret{}, nil
		case refused && refusal.StatusCode < http.StatusInternalServerError && refusal.StatusCode != http.StatusTooManyRequests:
			return nil, err
		}
		if pauseErr := pause(ctx, pollInterval); pauseErr != nil {
			return nil, errors.Join(pauseErr, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
