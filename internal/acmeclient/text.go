package acmeclient

// How much of a CA's texts is kept, in characters.
const (
	maxDetail  = 2000
	maxWord    = 300
	maxExcerpt = 200
)
