// Package field writes each API field once.
//
// A [Field] ties a name on the wire to a place in a record. From that one line
// come the schema of the request, the decoding, the update that changes only
// what was sent, the display, the schema of the answer and with both the
// OpenAPI document. A [Set] is the list of an object's fields:
//
//	var fields = field.Set[Role]{
//		field.String("acme_account_name", "The account to order with.", func(r *Role) *string { return &r.Account }).Required().Fixed(),
//		field.Bool("auto_renew", "Renew in time.", func(r *Role) *bool { return &r.AutoRenew }).Default(true),
//	}
//
// Fields are bound to struct members by functions instead of tags, so that a
// misspelt member does not compile. A JSON null counts as not sent.
package field

import (
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
)

// Field is one field of the API of an object that is stored as a T. Its
// methods return a changed copy, to be chained.
type Field[T any] struct {
	name   string
	schema framework.FieldSchema
	load   func(*T, any) error // nil: never read from a request
	show   func(*T) any
	hidden bool // never in an answer
	fixed  bool // the same for the life of the object
}

// String is free text.
func String[T any](name, doc string, at func(*T) *string) Field[T] {
	return Text(name, doc, func(s string) (string, error) { return s, nil }, at)
}

// Text is text that parse turns into a V. The error of parse is a clause that
// follows the field's name ("… must be an https URL").
func Text[T any, V ~string](name, doc string, parse func(string) (V, error), at func(*T) *V) Field[T] {
	return bind(name, doc, framework.TypeString, at,
		func(in any) (V, error) {
			s, ok := in.(string)
			if !ok {
				return "", fmt.Errorf("must be text, not %T", in)
			}
			return parse(s)
		},
		func(v V) any { return string(v) })
}

// Texts is a list of texts, each parsed; a comma-separated string is taken for
// a list, as everywhere in Vault. It is shown in the order it was sent in, and
// as [] when empty.
func Texts[T any, V ~string](name, doc string, parse func(string) (V, error), at func(*T) *[]V) Field[T] {
	return bind(name, doc, framework.TypeCommaStringSlice, at,
		func(in any) ([]V, error) {
			texts, ok := in.([]string)
			if !ok {
				return nil, fmt.Errorf("must be a list of texts, not %T", in)
			}
			return parseEach(texts, parse)
		},
		func(v []V) any {
			out := make([]string, len(v))
			for i := range v {
				out[i] = string(v[i])
			}
			return out
		})
}

// mostComplaints bounds how many items of a list an error tells of.
const mostComplaints = 20

// parseEach tells of every item that is wrong, so that a list need not be sent
// once for each mistake in it.
func parseEach[V ~string](texts []string, parse func(string) (V, error)) ([]V, error) {
	out := make([]V, 0, len(texts))
	var bad Errors
	for _, text := range texts {
		v, err := parse(text)
		if err != nil {
			bad = append(bad, err)
		}
		out = append(out, v)
	}
	if more := len(bad) - mostComplaints; more > 0 {
		bad = append(bad[:mostComplaints], fmt.Errorf("and %d more", more))
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return out, nil
}

// Bool is true or false.
func Bool[T any](name, doc string, at func(*T) *bool) Field[T] {
	return bind(name, doc, framework.TypeBool, at,
		func(in any) (bool, error) {
			b, ok := in.(bool)
			if !ok {
				return false, fmt.Errorf("must be true or false, not %T", in)
			}
			return b, nil
		},
		func(v bool) any { return v })
}

// Int is a whole number that parse accepts.
func Int[T any](name, doc string, parse func(int) (int, error), at func(*T) *int) Field[T] {
	return bind(name, doc, framework.TypeInt, at,
		func(in any) (int, error) {
			n, ok := in.(int)
			if !ok {
				return 0, fmt.Errorf("must be a whole number, not %T", in)
			}
			return parse(n)
		},
		func(v int) any { return v })
}

// mostSeconds is what a duration can hold, 292 years. More is as good as that.
const mostSeconds = math.MaxInt64 / int64(time.Second)

// Seconds is a duration: any form that Vault takes, shown as whole seconds.
func Seconds[T any](name, doc string, at func(*T) *time.Duration) Field[T] {
	return bind(name, doc, framework.TypeDurationSecond, at,
		func(in any) (time.Duration, error) {
			n, ok := in.(int)
			if !ok {
				return 0, fmt.Errorf("must be a duration, not %T", in)
			}
			return time.Duration(min(int64(n), mostSeconds)) * time.Second, nil
		},
		func(v time.Duration) any { return int64(v / time.Second) })
}

// SecondsWithin is Seconds that check accepts. The error of check is a clause that
// follows the field's name.
func SecondsWithin[T any](name, doc string, check func(time.Duration) error, at func(*T) *time.Duration) Field[T] {
	f := Seconds(name, doc, at)
	take := f.load
	f.load = func(rec *T, sent any) error {
		if err := take(rec, sent); err != nil {
			return err
		}
		return check(*at(rec))
	}
	return f
}

// SecondsOr is Seconds of which a record knows whether it was ever sent: nil
// stands for the fallback, which may change with a release. A duration is at most
// longest.
func SecondsOr[T any](name, doc string, fallback, longest time.Duration, at func(*T) **time.Duration) Field[T] {
	return bind(name, doc, framework.TypeDurationSecond, at,
		func(in any) (*time.Duration, error) {
			n, ok := in.(int)
			if !ok {
				return nil, fmt.Errorf("must be a duration, not %T", in)
			}
			if int64(n) > int64(longest/time.Second) {
				return nil, fmt.Errorf("must be at most %s", longest)
			}
			return new(time.Duration(n) * time.Second), nil
		},
		func(v *time.Duration) any {
			if v == nil {
				v = &fallback
			}
			return int64(*v / time.Second)
		}).Default(int(fallback / time.Second))
}

// Shown is a field of answers only.
func Shown[T any](name, doc string, typ framework.FieldType, show func(*T) any) Field[T] {
	return Field[T]{name: name, schema: framework.FieldSchema{Type: typ, Description: doc}, show: show}
}

// Time is a time of answers only, in RFC 3339 and UTC.
func Time[T any](name, doc string, at func(*T) *time.Time) Field[T] {
	return Shown(name, doc, framework.TypeTime, func(rec *T) any { return FormatTime(*at(rec)) })
}

// FormatTime writes a time as every answer does: RFC 3339, UTC, whole seconds.
// The zero time is "0001-01-01T00:00:00Z".
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func bind[T, V any](name, doc string, typ framework.FieldType, at func(*T) *V, in func(any) (V, error), out func(V) any) Field[T] {
	return Field[T]{
		name:   name,
		schema: framework.FieldSchema{Type: typ, Description: doc},
		load: func(rec *T, sent any) error {
			v, err := in(sent)
			if err != nil {
				return err
			}
			*at(rec) = v
			return nil
		},
		show: func(rec *T) any { return out(*at(rec)) },
	}
}

// Default is the value that a new record starts with, in any form in which it
// could be sent.
func (f Field[T]) Default(value any) Field[T] {
	f.schema.Default = value
	return f
}

// OneOf documents the accepted values. Enforcing them is the parser's work.
func (f Field[T]) OneOf(values ...any) Field[T] {
	f.schema.AllowedValues = values
	return f
}

// Label is what user interfaces call the field, where its name does not do.
func (f Field[T]) Label(label string) Field[T] {
	f.schema.DisplayAttrs = &framework.DisplayAttributes{Name: label}
	return f
}

// Required refuses a record without the field, or with an empty text or list in
// its place.
func (f Field[T]) Required() Field[T] {
	f.schema.Required = true
	return f
}

// Fixed refuses an update that would change the field, with an error that shows
// both values, so it is not for secrets. Sending the same value again is no
// change.
func (f Field[T]) Fixed() Field[T] {
	f.fixed = true
	return f
}

// Hidden takes the field out of every answer.
func (f Field[T]) Hidden() Field[T] {
	f.hidden = true
	return f
}
