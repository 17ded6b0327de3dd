package dynamodb

import "hash/maphash"

// Each period's filter. When 800,000 tokens were used in it, one unused token in a
// hundred is looked up in vain.
const (
	filterWords  = 1 << 17 // of 64 bits: 1 MB
	filterProbes = 4
)

// usedTokens tells of most new tokens that they were not used before, without
// looking into the store: nearly every transaction asks. It is a Bloom filter for
// each of the two periods that a live token may be in; what it can't know it takes
// for used. It belongs to the writer.
type usedTokens struct {
	seed   maphash.Seed
	known  uint32 // tokens of earlier periods may have come to an earlier process
	newest uint32 // the present period
	// Of the newest period and of the one before; nil as long as it has none.
	bits, before []uint64
}

// newUsedTokens begins in the given period; some tells that the store has tokens.
func newUsedTokens(period uint32, some bool) *usedTokens {
	u := &usedTokens{seed: maphash.MakeSeed(), newest: period}
	if some {
		u.known = period + 1
	}
	return u
}

// turn makes period the newest one.
func (u *usedTokens) turn(period uint32) {
	switch {
	case period == u.newest:
		return
	case period == u.newest+1:
		u.bits, u.before = nil, u.bits
	case period > u.newest:
		u.bits, u.before = nil, nil
	default: // the clock was set back
		u.bits, u.before, u.known = nil, nil, max(u.known, u.newest+1)
	}
	u.newest = period
}

// add notes a token in the newest period.
func (u *usedTokens) add(token string) {
	if u.bits == nil {
		u.bits = make([]uint64, filterWords)
	}
	for _, at := range u.probes(token) {
		u.bits[at/64] |= 1 << (at % 64)
	}
}

// mayHold is false only if the token was not used in the period.
func (u *usedTokens) mayHold(period uint32, token string) bool {
	bits := u.bits
	switch {
	case period < u.known:
		return true
	case period == u.newest:
	case period+1 == u.newest:
		bits = u.before
	default:
		return true
	}
	if bits == nil {
		return false
	}
	for _, at := range u.probes(token) {
		if bits[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

// probes gives the token's places among the bits.
func (u *usedTokens) probes(token string) (places [filterProbes]uint32) {
	hash := maphash.String(u.seed, token)
	at, step := uint32(hash), uint32(hash>>32)|1
	for i := range places {
		places[i] = at % (filterWords * 64)
		at += step
	}
	return places
}
