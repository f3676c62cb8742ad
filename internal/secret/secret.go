// Package secret holds text that must not be printed.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a secret: a private key, an HMAC key, a credential. Printing it with
// any verb, alone or inside of something, shows a placeholder; so does log/slog.
//
// Two ways around that remain. Encoding it as JSON shows the secret, because
// that is how it gets into storage: answers are never made by encoding a record
// (package field shows single fields instead), and neither a record nor a Text
// may be handed to a logger that writes JSON, as Vault's does. And package fmt
// does not ask what lies in an unexported struct member, or behind a pointer that
// is printed with a verb for text: such a struct must not be printed.
type Text string

// Reveal gives the secret itself. Searching for its callers finds every place
// where one is used.
func (t Text) Reveal() string { return string(t) }

// Format implements fmt.Formatter, which covers every verb.
func (Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }
