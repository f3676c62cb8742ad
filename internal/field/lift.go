package field

// Lift makes the fields of a part into fields of the whole, so that several
// objects share a group of fields that is written once.
func Lift[W, P any](part Set[P], at func(*W) *P) Set[W] {
	whole := make(Set[W], len(part))
	for i, f := range part {
		lifted := Field[W]{name: f.name, schema: f.schema, hidden: f.hidden, fixed: f.fixed}
		if f.load != nil {
			lifted.load = func(rec *W, sent any) error { return f.load(at(rec), sent) }
		}
		lifted.show = func(rec *W) any { return f.show(at(rec)) }
		whole[i] = lifted
	}
	return whole
}
