package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hidden = "topsecret"

// record holds a secret as the records in storage do.
type record struct {
	Name  string
	Key   Text
	Older []Text
	ByUse map[string]Text
}

func TestNoVerbReveals(t *testing.T) {
	t.Parallel()
	text := Text(hidden)
	rec := record{Name: "a", Key: text, Older: []Text{text}, ByUse: map[string]Text{"x": text}}
	for what, value := range map[string]any{
		"alone": text, "pointer": &text, "struct": rec, "pointer to struct": &rec, "list": []Text{text}, "array": [1]Text{text},
		"map": map[string]Text{"x": text}, "key of a map": map[Text]int{text: 1}, "list of structs": []record{rec},
		"interface": struct{ V any }{text}, "embedded": struct{ record }{rec}.record,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "% x", "%d", "%c", "%U", "%t", "%e", "%T %[1]v", "%20s", "%-20v", "%.3s", "%5.2v"} {
			printed := fmt.Sprintf(verb, value)
			if strings.Contains(printed, hidden) || strings.Contains(printed, "tops") || strings.Contains(strings.ToLower(strings.ReplaceAll(printed, " ", "")), fmt.Sprintf("%x", hidden[:3])) {
				t.Errorf("%s with %s is printed as %s", what, verb, printed)
			}
		}
	}
	if got := fmt.Sprint(text); got != redacted {
		t.Errorf("printed as %q", got)
	}
}

func TestNoErrorReveals(t *testing.T) {
	t.Parallel()
	text := Text(hidden)
	for _, err := range []error{
		fmt.Errorf("reading %s", text), fmt.Errorf("reading %q: %w", text, errors.New("bad")), errors.New(fmt.Sprint(text)),
		errors.Join(fmt.Errorf("%v", record{Key: text})),
	} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("%v", err)
		}
	}
}

func TestNoLogReveals(t *testing.T) {
	t.Parallel()
	text := Text(hidden)
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		log := slog.New(handler(&b))
		log.Info("a key", "key", text, slog.Any("any", text), slog.Group("group", "key", text))
		log.With("key", text).Info(fmt.Sprint("with ", text))
		if strings.Contains(b.String(), hidden) || !strings.Contains(b.String(), redacted) {
			t.Errorf("%s: %s", name, b.String())
		}
	}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("a record", "record", record{Key: text})
	if strings.Contains(b.String(), hidden) {
		t.Errorf("inside of a record: %s", b.String())
	}
}

// TestStorageReveals holds that a secret survives being stored, byte for byte.
func TestStorageReveals(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{hidden, "", "-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n", "\"<&>\u2028"} {
		raw, err := json.Marshal(record{Key: Text(secret)})
		if err != nil {
			t.Fatal(err)
		}
		var back record
		if err := json.Unmarshal(raw, &back); err != nil || back.Key.Reveal() != secret {
			t.Errorf("%q came back as %q, %v", secret, back.Key.Reveal(), err)
		}
	}
}
