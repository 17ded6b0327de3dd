package dynamodb

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestUsedTokens holds that no token that was used is taken for a new one, however
// the clock goes and whatever an earlier process left.
func TestUsedTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		used := map[uint32][]string{}
		period := uint32(100)
		left := rapid.SliceOf(rapid.Uint32Range(97, 100)).Draw(t, "left")
		for i, p := range left {
			used[p] = append(used[p], "left-"+strconv.Itoa(i))
		}
		u := newUsedTokens(period, len(used[99])+len(used[100]) > 0)
		for i, step := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, -1, -2}), 1, 30).Draw(t, "steps") {
			period += uint32(step)
			u.turn(period)
			for _, p := range []uint32{period, period - 1} {
				for _, token := range used[p] {
					if !u.mayHold(p, token) {
						t.Fatalf("step %d: %s of %d counts as new", i, token, p)
					}
				}
			}
			token := "new-" + strconv.Itoa(i)
			u.add(token)
			used[period] = append(used[period], token)
		}
	})
}

// TestUsedTokensSpare holds that a filter spares most looks into the store.
func TestUsedTokensSpare(t *testing.T) {
	t.Parallel()
	u := newUsedTokens(7, false)
	const n = 100_000
	for i := range n {
		u.add("used-" + strconv.Itoa(i))
	}
	u.turn(8)
	vain := 0
	for i := range n {
		if u.mayHold(7, "new-"+strconv.Itoa(i)) {
			vain++
		}
		if u.mayHold(8, "used-"+strconv.Itoa(i)) {
			t.Fatal("a period without tokens holds one")
		}
	}
	if vain > n/1000 {
		t.Errorf("%d of %d new tokens count as used", vain, n)
	}
	if unknown := newUsedTokens(7, true); !slices.Equal([]bool{unknown.mayHold(7, "x"), unknown.mayHold(6, "x")}, []bool{true, true}) {
		t.Error("tokens of an earlier process count as new")
	}
}
