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

// Create makes a record of the defaults and what was sent.
func (s Set[T]) Create(sent *framework.FieldData) (*T, error) {
	rec := new(T)
	var bad Errors
	for _, f := range s {
		if f.load == nil {
			continue
		}
		value, ok, err := f.sent(sent)
		switch {
		case err != nil:
		case ok:
			err = f.load(rec, value)
		case f.schema.Required:
			err = errors.New("is required")
		case f.schema.Default != nil:
			err = f.load(rec, f.schema.DefaultOrZero())
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s %w", f.name, err))
		}
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return rec, nil
}

// Update gives a copy of the record with what was sent changed and everything
// else as it was. The record itself stays untouched, so a refused request
// leaves nothing half-changed.
func (s Set[T]) Update(rec *T, sent *framework.FieldData) (*T, error) {
	changed := *rec
	var bad Errors
	for _, f := range s {
		if f.load == nil {
			continue
		}
		value, ok, err := f.sent(sent)
		if ok && err == nil {
			err = f.change(&changed, value)
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s %w", f.name, err))
		}
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return &changed, nil
}

func (f Field[T]) change(rec *T, value any) error {
	if !f.fixed {
		return f.load(rec, value)
	}
	after := *rec
	if err := f.load(&after, value); err != nil {
		return err
	}
	if !reflect.DeepEqual(f.show(rec), f.show(&after)) {
		return fmt.Errorf("is fixed at creation: it is %q and cannot become %q", f.show(rec), f.show(&after))
	}
	return nil
}

// sent gives the decoded value of the field in a request.
func (f Field[T]) sent(data *framework.FieldData) (value any, ok bool, err error) {
	if data.Raw[f.name] == nil {
		return nil, false, nil
	}
	value, ok, err = data.GetOkErr(f.name)
	if err != nil {
		return nil, false, fmt.Errorf("cannot be read: %w", err)
	}
	return value, ok, nil
}

// Lift makes the fields of a part into fields of the whole, so that several
// objects share a group of fields that is written once.
func Lift[W, P any](part Set[P], at func(*W) *P) Set[W] {
	whole := make(Set[W], len(part))
	for i, f := range part {
		lifted := Field[W]{name: f.name, schema: f.schema, hidden: f.hidden, fixed: f.fixed}
		if f.load != nil {
			lifted.load = func(rec *W, sent any) error { return f.load(at(rec), sent) }
		}
		lifted.show = func(rec *W) any { return f.show(at(rec)) }
		whole[i] = lifted
	}
	return whole
}
