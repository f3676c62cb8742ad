package order

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A script is a story about orders: blocks of commands, each followed by a line
// of dashes and what is expected of it. "go test ./internal/order -update"
// writes what happened in place of what was expected. Only commit the changes
// if you understand what caused them.
type script struct {
	blocks []block
	rest   string // text behind the last block
}

// block is some commands, with the comments between them, and their transcript.
type block struct {
	text   string
	expect string
}

const dashes = "----\n"

func readScript(t testing.TB, path string) script {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s script
	s.rest = string(raw)
	for {
		text, behind, found := strings.Cut(s.rest, dashes)
		if !found {
			return s
		}
		var expect string
		if expect, s.rest, found = strings.Cut("\n"+behind, "\n\n"); !found {
			expect = strings.TrimSuffix(expect, "\n")
		}
		s.blocks = append(s.blocks, block{text, strings.TrimPrefix(expect+"\n", "\n")})
	}
}

func (s script) String() string {
	var b strings.Builder
	for i, block := range s.blocks {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(block.text + dashes + block.expect)
	}
	if rest := strings.TrimSpace(s.rest); rest != "" {
		b.WriteString("\n" + rest + "\n")
	}
	return b.String()
}

// commands of a block, without comments.
func (b block) commands() []command {
	var out []command
	for line := range strings.Lines(b.text) {
		if words := words(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			out = append(out, newCommand(words))
		}
	}
	return out
}

// words splits at spaces outside of double quotes.
func words(line string) []string {
	quoted := false
	return strings.FieldsFunc(strings.TrimSpace(line), func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
}

// command is a line: a verb, plain arguments and options ("name=value").
type command struct {
	verb    string
	args    []string
	options map[string]string
}

func newCommand(words []string) command {
	c := command{verb: words[0], options: map[string]string{}}
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok {
			c.options[name] = strings.Trim(value, `"`)
			continue
		}
		c.args = append(c.args, w)
	}
	return c
}

// arg gives the n-th plain argument, "" when there are fewer.
func (c command) arg(n int) string {
	if n < len(c.args) {
		return c.args[n]
	}
	return ""
}

// number is an option's whole number, or else.
func (c command) number(name string, otherwise int) int {
	text, ok := c.options[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(fmt.Sprintf("%s %s=%s: %v", c.verb, name, text, err))
	}
	return n
}

// duration is an option's duration, or zero.
func (c command) duration(name string) time.Duration {
	text, ok := c.options[name]
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Sprintf("%s %s=%s: %v", c.verb, name, text, err))
	}
	return d
}
