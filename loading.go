package pkiexternalca

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/abreast"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// loadUntilDone schedules every active order, however often storage fails.
func (b *backend) loadUntilDone(ctx context.Context, s logical.Storage, e engines) {
	b.untilDone(ctx, "loading the active orders", func() error {
		if err := b.applyConfig(ctx, s); err != nil {
			return err
		}
		if err := loadDebts(ctx, s, e.debts); err != nil {
			return err
		}
		return b.load(ctx, s, e.orders)
	})
}

// untilDone does what needs storage until it has succeeded, or ctx has ended.
func (b *backend) untilDone(ctx context.Context, doing string, do func() error) {
	for ctx.Err() == nil {
		err := do()
		if err == nil || ctx.Err() != nil {
			return
		}
		b.Logger().Error(doing+" failed and will be tried again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(b.storagePause):
		}
	}
}

// readers is how many records are read at once when the active orders are loaded.
// Each read is a round trip to Vault, and nobody is served before all are done.
const readers = 16

// mark names an active order.
type mark struct {
	role string
	id   order.ID
}

// load schedules the active orders. What each waits for is in its record, which
// the worker reads; only the orders' places at CAs must be known before any
// order is submitted.
func (b *backend) load(ctx context.Context, s logical.Storage, e *engine.Engine) error {
	marks, err := activeMarks(ctx, s)
	if err != nil {
		return err
	}
	return abreast.Do(len(marks), readers, func(i int) error { return b.loadOrder(ctx, s, e, marks[i]) })
}

func activeMarks(ctx context.Context, s logical.Storage) ([]mark, error) {
	names, err := active.List(ctx, s, "")
	if err != nil {
		return nil, err
	}
	var marks []mark
	for _, name := range names {
		ids, err := active.List(ctx, s, name)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			marks = append(marks, mark{strings.TrimSuffix(name, "/"), order.ID(id)})
		}
	}
	return marks, nil
}

func (b *backend) loadOrder(ctx context.Context, s logical.Storage, e *engine.Engine, at mark) error {
	role, id := at.role, at.id
	beginning := b.isReserved(active.Prefix + role + "/" + string(id)) // asked before the record is read
	o, err := orders.Get(ctx, s, orderPath(id))
	switch {
	case errors.Is(err, store.ErrNotFound) && beginning:
		return nil // the request that made the mark is about to store the order, and to wake it
	case errors.Is(err, store.ErrNotFound):
		return active.Delete(ctx, s, role+"/"+string(id)) // it ended before it had
	case errors.Is(err, store.ErrUnreadable):
		b.Logger().Error("an active order cannot be read and is left alone", "order", id, "error", err)
		return nil // the others must not wait for it
	case err != nil:
		return err
	}
	if o.URL != "" && !o.Final() {
		b.claims.claim(o.URL, id)
	}
	b.relay.Follow(string(id), o.Answers())
	e.Schedule(string(id), laneOf(o), o.DueAt(b.now()))
	return nil
}
