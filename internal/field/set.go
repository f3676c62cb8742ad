package field

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
)

// Set is the fields of one object, in the order of the documentation.
type Set[T any] []Field[T]

// Errors is everything that was wrong with a request, one clause for each field.
type Errors []error

func (e Errors) Error() string {
	clauses := make([]string, len(e))
	for i, err := range e {
		clauses[i] = err.Error()
	}
	return strings.Join(clauses, "; ")
}

// Unwrap gives the single errors.
func (e Errors) Unwrap() []error { return e }

// Schema describes the fields a request may hold, extra ones included: names
// captured from the path, options of an operation.
func (s Set[T]) Schema(extra map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	out := maps.Clone(extra)
	if out == nil {
		out = map[string]*framework.FieldSchema{}
	}
	for _, f := range s {
		if f.load != nil {
			schema := f.schema
			out[f.name] = &schema
		}
	}
	return out
}

// Shown describes the fields of an answer.
func (s Set[T]) Shown() map[string]*framework.FieldSchema {
	out := map[string]*framework.FieldSchema{}
	for _, f := range s {
		if !f.hidden {
			schema := f.schema
			schema.Required = false
			out[f.name] = &schema
		}
	}
	return out
}

// Show gives a record as answers show it.
func (s Set[T]) Show(rec *T) map[string]any {
	out := make(map[string]any, len(s))
	for _, f := range s {
		if !f.hidden {
			out[f.name] = f.show(rec)
		}
	}
	return out
}

// Create makes a record of the defaults and what was sent. The error is
// [Errors].
func (s Set[T]) Create(sent *framework.FieldData) (*T, error) {
	rec := new(T)
	return s.apply(rec, func(f Field[T]) error {
		value, ok, err := f.sent(sent.Raw[f.name])
		if !ok && err == nil {
			value, ok, err = f.sent(f.schema.Default)
		}
		switch {
		case err != nil:
			return err
		case f.schema.Required && !ok:
			return errors.New("is required")
		case f.schema.Required && empty(value):
			return errEmpty
		case !ok:
			return nil
		}
		return f.load(rec, value)
	})
}

// Update gives a copy of the record with what was sent changed and everything
// else as it was. The record itself stays untouched, so a refused request
// leaves nothing half-changed. The error is [Errors].
func (s Set[T]) Update(rec *T, sent *framework.FieldData) (*T, error) {
	changed := *rec
	return s.apply(&changed, func(f Field[T]) error {
		value, ok, err := f.sent(sent.Raw[f.name])
		switch {
		case err != nil || !ok:
			return err
		case f.schema.Required && empty(value):
			return errEmpty
		}
		return f.change(&changed, value)
	})
}

// apply does something with each field that can be sent, and collects what was
// wrong.
func (s Set[T]) apply(rec *T, do func(Field[T]) error) (*T, error) {
	var bad Errors
	for _, f := range s {
		if f.load == nil {
			continue
		}
		if err := do(f); err != nil {
			bad = append(bad, fmt.Errorf("%s %w", f.name, err))
		}
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return rec, nil
}

var errEmpty = errors.New("is required; send at least one value that is not empty")

func empty(value any) bool {
	switch v := value.(type) {
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	}
	return false
}

func (f Field[T]) change(rec *T, value any) error {
	if !f.fixed {
		return f.load(rec, value)
	}
	after := *rec
	if err := f.load(&after, value); err != nil {
		return err
	}
	was, is := f.show(rec), f.show(&after)
	if reflect.DeepEqual(was, is) {
		return nil
	}
	return fmt.Errorf("is fixed at creation: it is %s and cannot become %s", quote(was), quote(is))
}

func quote(value any) string {
	switch value.(type) {
	case string, []string:
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprint(value)
}

// sent decodes what a request holds for the field; null counts as nothing. The
// framework's own errors are not passed on: they repeat the value, which may be
// a secret.
func (f Field[T]) sent(raw any) (value any, ok bool, err error) {
	if raw == nil {
		return nil, false, nil
	}
	data := framework.FieldData{Raw: map[string]any{f.name: raw}, Schema: map[string]*framework.FieldSchema{f.name: &f.schema}}
	value, ok, err = data.GetOkErr(f.name)
	if err != nil {
		return nil, false, fmt.Errorf("must be %s", Form(f.schema.Type))
	}
	return value, ok, nil
}

// Form says what a value of a type looks like, to go behind "must be".
func Form(t framework.FieldType) string {
	if form, ok := forms[t]; ok {
		return form
	}
	return "of the type " + t.String()
}

var forms = map[framework.FieldType]string{
	framework.TypeString:           "a text",
	framework.TypeCommaStringSlice: "a list of texts",
	framework.TypeInt:              "a whole number",
	framework.TypeBool:             "true or false",
	framework.TypeDurationSecond:   "a duration that is not negative: a number of seconds, or a text like 90m",
}
