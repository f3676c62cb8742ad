package field

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
)

func TestShow(t *testing.T) {
	t.Parallel()
	want := map[string]any{
		"owner": "Ada", "colours": []string{"green", "red"}, "ink": "red", "full": false, "dries": int64(60),
		"edition": int64(0), "made": "2026-01-02T02:04:05Z",
	}
	if got := pens.Show(aPen()); !reflect.DeepEqual(got, want) {
		t.Errorf("shown as %#v,\nwant %#v", got, want)
	}
	empty := pens.Show(&pen{})
	if list, ok := empty["colours"].([]string); !ok || list == nil || len(list) != 0 {
		t.Errorf("an empty list is shown as %#v; it must be [], not null", empty["colours"])
	}
	if empty["made"] != "0001-01-01T00:00:00Z" {
		t.Errorf("a time that has not come is shown as %v", empty["made"])
	}
}

// TestAnswersMatchTheirSchema holds that what is shown is what is described.
func TestAnswersMatchTheirSchema(t *testing.T) {
	t.Parallel()
	shown, described := pens.Show(aPen()), pens.Shown()
	if a, b := slices.Sorted(maps.Keys(shown)), slices.Sorted(maps.Keys(described)); !slices.Equal(a, b) {
		t.Errorf("shown are %v, described %v", a, b)
	}
	for name, schema := range described {
		if schema.Required {
			t.Errorf("%s is required in an answer, which no client can see to", name)
		}
	}
	data := framework.FieldData{Raw: shown, Schema: described}
	if err := data.Validate(); err != nil {
		t.Errorf("an answer does not match its schema: %v", err)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	extra := map[string]*framework.FieldSchema{"name": {Type: framework.TypeString}}
	got := pens.Schema(extra)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"code", "colours", "dries", "edition", "full", "ink", "name", "owner"}) {
		t.Errorf("a request may hold %v", names)
	}
	if len(extra) != 1 {
		t.Error("the map of the caller was changed")
	}
	for _, test := range []struct {
		name string
		typ  framework.FieldType
		doc  string
	}{
		{"owner", framework.TypeString, "Whose it is."},
		{"colours", framework.TypeCommaStringSlice, "What it writes in."},
		{"full", framework.TypeBool, "Whether it writes."},
		{"dries", framework.TypeDurationSecond, "How soon it dries."},
	} {
		if s := got[test.name]; s.Type != test.typ || s.Description != test.doc {
			t.Errorf("%s is described as %v, %q", test.name, s.Type, s.Description)
		}
	}
	if s := got["owner"]; !s.Required || s.DisplayAttrs.Name != "Owner's name" {
		t.Errorf("owner is described as %+v", s)
	}
	if s := got["ink"]; s.Default != "green" || !reflect.DeepEqual(s.AllowedValues, []any{"red", "green"}) {
		t.Errorf("ink is described as %+v", s)
	}
	got["owner"].Description = "changed"
	if pens.Schema(nil)["owner"].Description != "Whose it is." {
		t.Error("a schema that was handed out is shared with the set")
	}
}

// TestSecretsAreNotRepeated holds that a value which cannot be read, a key in
// the wrong JSON type say, does not get into the error.
func TestSecretsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, body := range []any{[]any{"topsecret"}, map[string]any{"topsecret": true}, map[string]any{"key": "topsecret"}} {
		_, err := pens.Update(aPen(), &framework.FieldData{Raw: map[string]any{"code": body}})
		if err == nil || strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), "1234") {
			t.Errorf("%v: %v", body, err)
		}
	}
}

func TestFixedFieldsOfEveryKind(t *testing.T) {
	t.Parallel()
	set := Set[pen]{
		Texts("colours", "", parseColour, func(p *pen) *[]colour { return &p.Colours }).Fixed(),
		Bool("full", "", func(p *pen) *bool { return &p.Full }).Fixed(),
		Seconds("dries", "", func(p *pen) *time.Duration { return &p.Dries }).Fixed(),
		Text("ink", "", parseColour, func(p *pen) *colour { return &p.Ink }).Fixed(),
	}
	for _, test := range []struct {
		body, want string
	}{
		{`{"colours":"green,red","full":false,"dries":"1m","ink":"red"}`, ""},
		{`{"colours":"red,green"}`, `colours is fixed at creation: it is ["green" "red"] and cannot become ["red" "green"]`},
		{`{"full":true}`, "full is fixed at creation: it is false and cannot become true"},
		{`{"dries":90}`, "dries is fixed at creation: it is 60 and cannot become 90"},
		{`{"ink":"blue"}`, `ink "blue" is not red or green`},
	} {
		_, err := set.Update(aPen(), request(t, test.body))
		if (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
			t.Errorf("%s: %v, want %q", test.body, err, test.want)
		}
	}
}
