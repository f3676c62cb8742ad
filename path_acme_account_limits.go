package pkiexternalca

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// mostSetsShown bounds how many sets of identifiers one answer tells of.
const mostSetsShown = 100

// limits is what is held back at an account.
type limits struct {
	name string
	limit.Hold
	now   time.Time
	total int
	sets  []*setHold
}

var limitFields = field.Set[limits]{
	shownLimit("name", "Name of the account", framework.TypeString, func(l *limits) any { return l.name }),
	shownLimit("held", "Whether new orders with the account are held back", framework.TypeBool, func(l *limits) any { return l.InForce(l.now) }),
	shownLimit("since", "When the CA first refused in a row (RFC3339)", framework.TypeString, func(l *limits) any { return field.FormatTime(l.Since) }),
	shownLimit("until", "Until when new orders are, or were, held back (RFC3339)", framework.TypeString, func(l *limits) any { return field.FormatTime(l.Until) }),
	shownLimit("why", "What the CA said", framework.TypeString, func(l *limits) any { return l.Why }),
	shownLimit("count", "How many times in a row the CA refused", framework.TypeInt, func(l *limits) any { return l.Count }),
	shownLimit("order_id", "The order that the CA refused last", framework.TypeString, func(l *limits) any { return l.Order }),
	shownLimit("failing_sets", "How many sets of identifiers failed last time", framework.TypeInt, func(l *limits) any { return l.total }),
	shownLimit("sets", "Sets of identifiers that failed last time, at most 100 of them", framework.TypeSlice, showSets),
}

func shownLimit(name, doc string, typ framework.FieldType, show func(*limits) any) field.Field[limits] {
	return field.Shown(name, doc, typ, show)
}

func showSets(l *limits) any {
	out := make([]any, len(l.sets))
	for i, set := range l.sets {
		out[i] = map[string]any{
			"identifiers": set.Identifiers, "held": set.InForce(l.now), "needs_action": set.Human,
			"since": field.FormatTime(set.Since), "until": field.FormatTime(set.Until),
			"why": set.Why, "count": set.Count, "order_id": set.Order,
		}
	}
	return out
}

func (b *backend) pathAccountLimits() *framework.Path {
	return b.path(endpoint{
		pattern: "config/acme-account/" + framework.GenericNameRegex("name") + "/limits", suffix: "config-acme-account-limits",
		synopsis: "What the CA has refused, and until when new orders are held back",
		help: `When a CA says that a limit is reached, or does not take names for proven, new orders with the account, or for
the same identifiers, are refused for a while, so that nobody uses up what the CA allows. This shows until when and why. Deleting lifts
the hold on the account, or with identifiers that on these; orders that wait already go on at their next_work_date.`,
		fields: map[string]*framework.FieldSchema{
			"name":        nameField("Name of the account"),
			"identifiers": {Type: framework.TypeCommaStringSlice, Query: true, Description: "Only this set of identifiers, in any order"},
		},
		operations: map[logical.Operation]operation{
			logical.ReadOperation:   {summary: "Read what is held back at an account.", do: b.readLimits, answers: limitFields.Shown(), anywhere: true},
			logical.DeleteOperation: {summary: "Let new orders through.", do: b.liftLimits, empty: true},
		},
	})
}

// limited gives the account of a request, and the set of identifiers if it names
// one.
func limited(ctx context.Context, req *request) (account string, values []string, err error) {
	account = req.text("name")
	if _, err := accounts.Get(ctx, req.Storage, account); err != nil {
		return "", nil, err
	}
	requested := req.list("identifiers")
	if len(requested) == 0 {
		return account, nil, nil
	}
	named, err := parseIdentifiers(requested)
	if err != nil {
		return "", nil, badRequest("identifiers: %w", err)
	}
	wanted := order.Order{Identifiers: named.list}
	return account, wanted.Values(), nil
}

func (b *backend) readLimits(ctx context.Context, req *request) (*logical.Response, error) {
	account, values, err := limited(ctx, req)
	if err != nil {
		return nil, err
	}
	hold, err := readHold(ctx, req.Storage, accountHolds, account)
	if err != nil {
		return nil, err
	}
	paths := []string{setPath(account, values)}
	if values == nil {
		if paths, err = setPaths(ctx, req.Storage, account); err != nil {
			return nil, err
		}
	}
	l := &limits{name: account, Hold: *hold, now: b.now(), total: len(paths)}
	for _, path := range paths[:min(len(paths), mostSetsShown)] {
		set, err := setHolds.Get(ctx, req.Storage, path)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnreadable) {
			l.total--
			continue
		}
		if err != nil {
			return nil, err
		}
		l.sets = append(l.sets, set)
	}
	return &logical.Response{Data: limitFields.Show(l)}, nil
}

// setPaths lists the sets of identifiers that failed last time. They are as many
// as fail, not as many as were ever ordered: see [tidying.tidyLimits].
func setPaths(ctx context.Context, s logical.Storage, account string) ([]string, error) {
	names, err := setHolds.List(ctx, s, account+"/")
	for i := range names {
		names[i] = account + "/" + names[i]
	}
	return names, err
}

func (b *backend) liftLimits(ctx context.Context, req *request) (*logical.Response, error) {
	account, values, err := limited(ctx, req)
	if err != nil {
		return nil, err
	}
	b.limitsLock.Lock()
	defer b.limitsLock.Unlock()
	if values == nil {
		return nil, accountHolds.Delete(ctx, req.Storage, account)
	}
	return nil, setHolds.Delete(ctx, req.Storage, setPath(account, values))
}

// forgetLimits removes all that is remembered of an account that is deleted: one
// that gets its name may be at another CA.
func (b *backend) forgetLimits(ctx context.Context, s logical.Storage, account string) error {
	b.limitsLock.Lock()
	defer b.limitsLock.Unlock()
	paths, err := setPaths(ctx, s, account)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := setHolds.Delete(ctx, s, path); err != nil {
			return err
		}
	}
	return accountHolds.Delete(ctx, s, account)
}
