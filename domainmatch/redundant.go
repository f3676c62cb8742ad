package domainmatch

// Overlap is a name that a wildcard of the same order already covers.
type Overlap struct {
	Wildcard, Name Name
}

// Redundant finds the names that a CA would refuse next to a wildcard of the same
// order, as www.example.com next to *.example.com. A wildcard covers exactly one
// label (RFC 6125 §6.4.3), and no other wildcard. The overlaps are in the order
// of names.
func Redundant(names []Name) []Overlap {
	asked := make(map[Name]bool, len(names))
	for _, n := range names {
		asked[n] = true
	}
	var found []Overlap
	for _, n := range names {
		cover := Name{star + parent(n.text)}
		if !n.IsWildcard() && asked[cover] {
			found = append(found, Overlap{cover, n})
		}
	}
	return found
}
