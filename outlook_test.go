package pkiexternalca

import "maps"

// withoutOutlook is an answer with a certificate without what becomes of it, which
// fetch-cert does not tell.
func withoutOutlook(answer fields) fields {
	out := maps.Clone(answer)
	for name := range outlookFields.Shown() {
		delete(out, name)
	}
	return out
}
