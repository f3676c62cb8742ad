package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

type fruit struct {
	Name  string `json:"name"`
	Seeds int    `json:"seeds,omitempty"`
}

var fruits = Collection[fruit]{Kind: "fruit", Prefix: "fruit/", Version: 1}

func TestRecordsComeBack(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), &logical.InmemStorage{}
	for _, name := range []string{"pear", "apple", "dried/plum"} {
		if err := fruits.Put(ctx, s, name, &fruit{Name: name, Seeds: len(name)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := fruits.Get(ctx, s, "pear"); err != nil || got.Name != "pear" || got.Seeds != 4 {
		t.Errorf("read %+v, %v", got, err)
	}
	for _, test := range []struct {
		below string
		want  []string
	}{
		{"", []string{"apple", "dried/", "pear"}},
		{"dried/", []string{"plum"}},
		{"fresh/", nil},
	} {
		if got, err := fruits.List(ctx, s, test.below); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("below %q are %v, %v", test.below, got, err)
		}
	}
	entry, err := s.Get(ctx, "fruit/pear")
	if err != nil || entry == nil || string(entry.Value) != `{"version":1,"data":{"name":"pear","seeds":4}}` {
		t.Errorf("stored as %s, %v", entry.Value, err)
	}
	for range 2 { // the second time there is none, which is no error
		if err := fruits.Delete(ctx, s, "pear"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fruits.Get(ctx, s, "pear"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted, and read with %v", err)
	}
}

func TestAbsenceSaysWhatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := fruits.Get(context.Background(), &logical.InmemStorage{}, "kiwi")
	if !errors.Is(err, ErrNotFound) || err.Error() != `fruit "kiwi": not found` {
		t.Errorf("%v", err)
	}
}

// upgraded is a collection that has changed twice: "name" was called "title"
// in version 1, and had no seeds before version 3.
var upgraded = Collection[fruit]{Kind: "fruit", Prefix: "fruit/", Version: 3, Upgrades: map[int]Upgrade{
	1: func(old json.RawMessage) (json.RawMessage, error) {
		var v1 struct{ Title string }
		if err := json.Unmarshal(old, &v1); err != nil {
			return nil, err
		}
		return json.Marshal(map[string]any{"name": v1.Title})
	},
	2: func(old json.RawMessage) (json.RawMessage, error) {
		v2 := map[string]any{}
		if err := json.Unmarshal(old, &v2); err != nil {
			return nil, err
		}
		v2["seeds"] = 7
		return json.Marshal(v2)
	},
}}

func TestUpgradesFormAChain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stored string
		want   fruit
		reason string
	}{
		{`{"version":1,"data":{"title":"pear"}}`, fruit{Name: "pear", Seeds: 7}, "two steps"},
		{`{"version":2,"data":{"name":"pear"}}`, fruit{Name: "pear", Seeds: 7}, "one step"},
		{`{"version":3,"data":{"name":"pear","seeds":2}}`, fruit{Name: "pear", Seeds: 2}, "none"},
		{`{"version":3,"data":{"name":"pear","colour":"green"}}`, fruit{Name: "pear"}, "a field that is unknown is passed over"},
	} {
		if got, err := upgraded.decode([]byte(test.stored)); err != nil || *got != test.want {
			t.Errorf("%s: %+v, %v (%s)", test.stored, got, err, test.reason)
		}
	}
}

// TestAnUpgradeIsNotWritten holds that reading changes nothing, so that a node
// which may not write can read, and an older release still can.
func TestAnUpgradeIsNotWritten(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), &logical.InmemStorage{}
	stored := []byte(`{"version":1,"data":{"title":"pear"}}`)
	if err := s.Put(ctx, &logical.StorageEntry{Key: "fruit/pear", Value: stored}); err != nil {
		t.Fatal(err)
	}
	s.Underlying().FailPut(true)
	got, err := upgraded.Get(ctx, s, "pear")
	if err != nil || got.Name != "pear" {
		t.Fatalf("%+v, %v", got, err)
	}
	s.Underlying().FailPut(false)
	if err := upgraded.Put(ctx, s, "pear", got); err != nil {
		t.Fatal(err)
	}
	if entry, err := s.Get(ctx, "fruit/pear"); err != nil || !strings.HasPrefix(string(entry.Value), `{"version":3,`) {
		t.Errorf("written as %s, %v", entry.Value, err)
	}
}

func TestDamageIsToldFromAbsence(t *testing.T) {
	t.Parallel()
	gap := upgraded
	gap.Upgrades = map[int]Upgrade{1: upgraded.Upgrades[1]}
	for _, test := range []struct {
		in     Collection[fruit]
		stored string
		want   string
		reason string
	}{
		{fruits, ``, "damaged", "nothing"},
		{fruits, `garbage`, "damaged", "no JSON"},
		{fruits, `[]`, "damaged", "no object"},
		{fruits, `{}`, "version 0", "no version"},
		{fruits, `{"name":"pear"}`, "version 0", "a record without its envelope"},
		{fruits, `{"version":0,"data":{}}`, "version 0", "before the first version"},
		{fruits, `{"version":-1,"data":{}}`, "version -1", "long before"},
		{fruits, `{"version":2,"data":{}}`, "version 2; this release reads 1 to 1", "written by a later release"},
		{fruits, `{"version":"1","data":{}}`, "damaged", "a version that is no number"},
		{fruits, `{"version":1}`, "no data", "an envelope alone"},
		{fruits, `{"version":1,"data":null}`, "no data", "which would pass for a fruit without a name"},
		{fruits, `{"version":1,"data":[]}`, "damaged", "data of another type"},
		{fruits, `{"version":1,"data":{"name":7}}`, "damaged", "a field of another type"},
		{fruits, `{"version":1,"data":{"name":"pear"}}{}`, "damaged", "text behind it"},
		{upgraded, `{"version":1,"data":7}`, "upgrading it from version 1", "what the upgrade cannot read"},
		{upgraded, `{"version":1}`, "upgrading it from version 1", "nothing to upgrade"},
		{gap, `{"version":2,"data":{}}`, "from version 2: this release does not know how", "an upgrade is missing"},
	} {
		ctx, s := context.Background(), &logical.InmemStorage{}
		if err := s.Put(ctx, &logical.StorageEntry{Key: "fruit/pear", Value: []byte(test.stored)}); err != nil {
			t.Fatal(err)
		}
		got, err := test.in.Get(ctx, s, "pear")
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), `reading fruit "pear": `) {
			t.Errorf("%s (%s): %+v, %v, want an error with %q", test.stored, test.reason, got, err, test.want)
		}
		if errors.Is(err, ErrNotFound) {
			t.Errorf("%s (%s): taken for absent, so that it would be overwritten", test.stored, test.reason)
		}
	}
}

func TestStorageErrorsSayWhatWasDone(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), &logical.InmemStorage{}
	u := s.Underlying()
	u.FailGet(true)
	u.FailPut(true)
	u.FailDelete(true)
	u.FailList(true)
	_, get := fruits.Get(ctx, s, "pear")
	_, list := fruits.List(ctx, s, "")
	for want, err := range map[string]error{
		`reading fruit "pear": `:  get,
		`writing fruit "pear": `:  fruits.Put(ctx, s, "pear", &fruit{}),
		`deleting fruit "pear": `: fruits.Delete(ctx, s, "pear"),
		`listing fruit records: `: list,
		`encoding fruit "pear": `: Collection[chan int]{Kind: "fruit", Version: 1}.Put(ctx, s, "pear", new(chan int)),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.Is(err, ErrNotFound) {
			t.Errorf("%v, want an error that begins with %q", err, want)
		}
	}
}

// FuzzDecode holds that whatever lies in storage is a record or an error, the
// same in one go as in steps, and that a record comes back the same when it is
// written again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"version":1}`, `{"version":1,"data":null}`, `{"version":1,"data":{"title":"pear"}}`,
		`{"version":2,"data":{"name":"pear"}}`, `{"version":3,"data":{"name":"pear","seeds":2}}`, `{"version":4,"data":{}}`,
		`{"version":3,"data":{"name":7}}`, `{"version":3,"data":"{}"}`, `{"version":1e9,"data":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := upgraded.decode(raw)
		if !mayRepeat(raw, "data") {
			slowly, failed := upgraded.decodeInSteps(raw)
			if (err == nil) != (failed == nil) || err == nil && *got != *slowly {
				t.Fatalf("%q: %+v, %v, but in steps %+v, %v", raw, got, err, slowly, failed)
			}
		}
		if (err == nil) != (got != nil) {
			t.Fatalf("%q: %+v, %v", raw, got, err)
		}
		if err != nil {
			return
		}
		ctx, s := context.Background(), &logical.InmemStorage{}
		if err := upgraded.Put(ctx, s, "x", got); err != nil {
			t.Fatal(err)
		}
		if again, err := upgraded.Get(ctx, s, "x"); err != nil || *again != *got {
			t.Errorf("%q is %+v, and read again %+v, %v", raw, got, again, err)
		}
	})
}

// mayRepeat tells whether a key may be there twice, which nobody writes: of two
// the last counts in steps, and both together in one go.
func mayRepeat(raw []byte, key string) bool {
	return bytes.ContainsRune(raw, '\\') || bytes.Count(bytes.ToLower(raw), []byte(key)) > 1
}
