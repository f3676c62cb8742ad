package field

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
)

// FuzzUpdate holds that no request breaks the decoding, and that a refused one
// changes nothing.
func FuzzUpdate(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"owner":null}`, `{"colours":[null]}`, `{"colours":[["red"]]}`, `{"dries":1e30}`, `{"dries":{}}`,
		`{"full":[]}`, `{"ink":"red","owner":"Ada"}`, `{"edition":"106751d"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		raw := map[string]any{}
		if json.Unmarshal(body, &raw) != nil {
			return
		}
		rec := aPen()
		changed, err := pens.Update(rec, &framework.FieldData{Raw: raw, Schema: pens.Schema(nil)})
		if (err == nil) != (changed != nil) || !reflect.DeepEqual(rec, aPen()) {
			t.Fatalf("%s: %+v, %v; the record is %+v", body, changed, err, rec)
		}
		if changed != nil && changed.Owner != "Ada" {
			t.Errorf("%s: a fixed field has changed", body)
		}
	})
}
