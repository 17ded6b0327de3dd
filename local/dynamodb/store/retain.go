package store

// Retain is one more use of v, which the caller must hold; each is ended by a
// Release.
func (v *View) Retain() *View {
	v.refs.Add(1)
	return v
}
