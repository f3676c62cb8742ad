package pkiexternalca

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// uses reads a record of each collection, and does with it what the engine does.
// Nothing that lies in storage may end the process.
var uses = map[string]func(b *backend, s logical.Storage) error{
	accounts.Prefix: useAccount,
	registrations.Prefix: func(_ *backend, s logical.Storage) error {
		_, err := registrations.Get(context.Background(), s, "x")
		return err
	},
	roles.Prefix:  useRole,
	orders.Prefix: useOrder,
	orderKeys.Prefix: func(b *backend, s logical.Storage) error {
		_, err := orderKeys.Get(context.Background(), s, "x")
		return err
	},
	certificates.Prefix: useCertificate,
	orderHours.Prefix: func(b *backend, s logical.Storage) error {
		_, err := orderHours.Get(context.Background(), s, "x")
		return err
	},
	active.Prefix: func(_ *backend, s logical.Storage) error {
		_, err := active.Get(context.Background(), s, "x")
		return err
	},
	serials.Prefix: func(_ *backend, s logical.Storage) error {
		ref, err := serials.Get(context.Background(), s, "x")
		if err == nil {
			_ = orderPath(ref.Order)
		}
		return err
	},
	configs.Prefix: func(_ *backend, s logical.Storage) error {
		config, err := configs.Get(context.Background(), s, "x")
		if err == nil {
			_, _ = configFields.Show(config), config.retention()
		}
		return err
	},
	debts.Prefix: func(_ *backend, s logical.Storage) error {
		d, err := debts.Get(context.Background(), s, "x")
		if err == nil {
			_, _ = debtPath(d.Proof), debtLane(debtPath(d.Proof))
		}
		return err
	},
	accountHolds.Prefix: func(b *backend, s logical.Storage) error {
		hold, err := accountHolds.Get(context.Background(), s, "x")
		if err == nil {
			_, _ = hold.InForce(b.now()), hold.Stale(b.now())
		}
		return err
	},
	setHolds.Prefix: func(b *backend, s logical.Storage) error {
		set, err := setHolds.Get(context.Background(), s, "x")
		if err == nil {
			_ = set.After(limit.Failure{}, b.now(), 0.5)
		}
		return err
	},
	current.Prefix: func(_ *backend, s logical.Storage) error {
		_, err := current.Get(context.Background(), s, "x")
		return err
	},
}

func useAccount(_ *backend, s logical.Storage) error {
	a, err := accounts.Get(context.Background(), s, "x")
	if err == nil {
		_, _ = a.Signer()
		_ = a.ActiveVersion()
	}
	return err
}

func useRole(b *backend, s logical.Storage) error {
	r, err := roles.Get(context.Background(), s, "x")
	if err != nil {
		return err
	}
	_ = roleFields.Show(r)
	if policy, err := b.policyOf(r); err == nil {
		_ = policy.policy.Check(nil)
	}
	return nil
}

func useOrder(_ *backend, s logical.Storage) error {
	o, err := orders.Get(context.Background(), s, "x")
	if err != nil {
		return err
	}
	_, _, _ = orderFields.Show(o), recentFields.Show(o), certLookupFields.Show(o)
	_, _, _ = o.Proofs(), laneOf(o), subject(o)
	_, _ = currentPath(o)
	return nil
}

func useCertificate(_ *backend, s logical.Storage) error {
	c, err := certificates.Get(context.Background(), s, "x")
	if err != nil {
		return err
	}
	_ = serialPath(c.Serial)
	for _, f := range formats {
		_ = (&delivery{Certificate: c, format: f, key: "no key"}).response()
	}
	return nil
}

// FuzzRecords holds that whatever lies in storage is a record or an error that
// says so, in every collection.
func FuzzRecords(f *testing.F) {
	prefixes := []string{}
	for prefix := range uses {
		prefixes = append(prefixes, prefix)
	}
	slices.Sort(prefixes)
	for i, prefix := range prefixes {
		for _, path := range recordFiles(f) {
			raw, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if strings.Contains(path, "/"+strings.TrimSuffix(prefix, "/")+"/") {
				f.Add(uint8(i), raw)
			}
		}
	}
	b := newBackend(time.Now)
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		prefix := prefixes[int(which)%len(prefixes)]
		s := &logical.InmemStorage{}
		if err := s.Put(t.Context(), &logical.StorageEntry{Key: prefix + "x", Value: raw}); err != nil {
			t.Fatal(err)
		}
		if err := uses[prefix](b, s); err != nil && !errors.Is(err, store.ErrUnreadable) {
			t.Errorf("%s%q: %v", prefix, raw, err)
		}
		b.policies.Clear()
	})
}

// TestEveryCollectionIsFuzzed: the DNS providers' have a fuzzer with their settings.
func TestEveryCollectionIsFuzzed(t *testing.T) {
	t.Parallel()
	for _, f := range families(t) {
		if uses[f.prefix] == nil && !strings.HasPrefix(f.prefix, dnsprovider.Prefix) {
			t.Errorf("records below %s are not fuzzed", f.prefix)
		}
	}
}

// FuzzIdentifiers holds that names are refused, or are what the CA is asked for,
// each once.
func FuzzIdentifiers(f *testing.F) {
	for _, seed := range []string{
		"", "example.com", "*.example.com,Example.COM.", "räksmörgås.se,xn--rksmrgs-5wao1o.se", "a b", "192.0.2.1", "::1", "*.*", ",,,", "\x00",
		strings.Repeat("a.", 130), strings.Repeat("x.example.com,", 101),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := parseIdentifiers(strings.Split(text, ","))
		if err != nil {
			if _, err := json.Marshal(err.Error()); err != nil {
				t.Error(err)
			}
			return
		}
		if len(w.list) == 0 || len(w.list) > mostIdentifiers {
			t.Fatalf("%q is %v", text, w.list)
		}
		o := order.Order{Identifiers: w.list}
		again, err := parseIdentifiers(o.Values())
		if err != nil || len(again.list) != len(w.list) {
			t.Errorf("%q is %q, which is %v, %v", text, o.Values(), again, err)
		}
	})
}
