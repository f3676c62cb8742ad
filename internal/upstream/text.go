package upstream

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// excerptLength is how much of a body is shown, in characters.
const excerptLength = 200

// Clean makes a foreign text fit for a log or a terminal: one line of
// printable characters, and not too many. Control and direction-changing
// characters could otherwise forge what a reader sees.
func Clean(text string, limit int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range text {
		if !unicode.IsPrint(r) || r == ' ' || r == utf8.RuneError {
			space = n > 0
			continue
		}
		if space {
			n++
		}
		if n >= limit {
			b.WriteRune('…')
			break
		}
		if space {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// Excerpt gives the beginning of a body that is no problem document, without
// mark-up.
func Excerpt(body []byte, contentType string) string {
	text := string(body)
	if strings.Contains(contentType, "html") || strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = visibleText(text)
	}
	return Clean(text, excerptLength)
}

// visibleText leaves out tags, scripts and styles.
func visibleText(page string) string {
	var b strings.Builder
	hidden := false
	for z := html.NewTokenizer(strings.NewReader(page)); b.Len() < 8*excerptLength; {
		switch z.Next() {
		case html.ErrorToken: // the end
			return b.String()
		case html.StartTagToken:
			name, _ := z.TagName()
			hidden = string(name) == "script" || string(name) == "style"
		case html.EndTagToken:
			hidden = false
		case html.TextToken:
			if !hidden {
				b.Write(z.Text())
				b.WriteByte(' ')
			}
		}
	}
	return b.String()
}
