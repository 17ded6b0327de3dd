package dynamo

import (
	"slices"
	"testing"
)

func TestEachOnce(t *testing.T) {
	t.Parallel()
	a, b, c := key{"a", "1"}, key{"b", "1"}, key{"a", "2"}
	in := []key{a, b, a, c, b, a}
	if got := eachOnce(in); !slices.Equal(got, []key{a, b, c}) {
		t.Errorf("got %v", got)
	}
	if !slices.Equal(in, []key{a, b, a, c, b, a}) {
		t.Errorf("the caller's keys are %v now", in)
	}
}
