package http01

import "errors"

// longestToken bounds what is looked at. RFC 8555 §8.1 demands 128 bits of
// entropy, which CAs write in 22 to 43 characters.
const longestToken = 128

// ErrToken says that a text is no token.
var ErrToken = errors.New("a token has 1 to 128 letters, digits, hyphens and underscores (RFC 8555 §8.3)")

// ParseToken returns [ErrToken] for a text that no CA asks for: a token is made
// of the base64url alphabet, without padding.
func ParseToken(text string) error {
	if text == "" || len(text) > longestToken {
		return ErrToken
	}
	for i := range len(text) {
		if c := text[i]; !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' {
			return ErrToken
		}
	}
	return nil
}

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }
