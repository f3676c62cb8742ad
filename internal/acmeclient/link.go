package acmeclient

import (
	"slices"
	"strings"
)

// maxLinks bounds how many links of an answer are read.
const maxLinks = 20

// links gives the targets of the Link headers that have a relation, such as
// "alternate" (RFC 8288 §3). What cannot be read is passed over.
func links(headers []string, relation string) []string {
	var targets []string
	for _, h := range headers {
		for len(targets) < maxLinks {
			target, parameters, rest, ok := cutLink(h)
			if !ok {
				break
			}
			if slices.Contains(relations(parameters), relation) {
				targets = append(targets, target)
			}
			h = rest
		}
	}
	return targets
}

// cutLink takes the first link off a header: <target>;parameters,rest.
func cutLink(h string) (target, parameters, rest string, ok bool) {
	_, h, ok = strings.Cut(h, "<")
	if !ok {
		return "", "", "", false
	}
	target, h, ok = strings.Cut(h, ">")
	if !ok {
		return "", "", "", false
	}
	end := indexUnquoted(h, ',')
	if end < 0 {
		return target, h, "", true
	}
	return target, h[:end], h[end+1:], true
}

// relations gives the words of the first rel parameter, in lower case.
func relations(parameters string) []string {
	for parameters != "" {
		parameter, rest := parameters, ""
		if end := indexUnquoted(parameters, ';'); end >= 0 {
			parameter, rest = parameters[:end], parameters[end+1:]
		}
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "rel") {
			return strings.Fields(strings.ToLower(strings.Trim(strings.TrimSpace(value), `"`)))
		}
		parameters = rest
	}
	return nil
}

// indexUnquoted finds a byte outside of quoted strings, or gives -1.
func indexUnquoted(s string, b byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == b:
			return i
		}
	}
	return -1
}
