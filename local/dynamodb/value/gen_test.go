package value

import (
	"strings"

	"pgregory.net/rapid"
)

// Generators of arbitrary values for the property tests.

func genNumber() *rapid.Generator[Number] {
	return rapid.Custom(func(t *rapid.T) Number {
		digits := strings.TrimLeft(rapid.StringMatching(`[0-9]{1,38}`).Draw(t, "digits"), "0")
		if digits == "" {
			return Number{}
		}
		d := decimal{
			negative: rapid.Bool().Draw(t, "negative"),
			digits:   strings.TrimRight(digits, "0"),
			exponent: rapid.OneOf(rapid.IntRange(minExponent, maxExponent), rapid.IntRange(-3, 40)).Draw(t, "exponent"),
		}
		n, err := d.number()
		if err != nil {
			t.Fatal(err)
		}
		return n
	})
}

func genScalar(kind Kind) *rapid.Generator[Value] {
	switch kind {
	case N:
		return rapid.Map(genNumber(), Numeric)
	case B:
		return rapid.Map(rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.ByteRange(0, 2)), 0, 12), Binary)
	}
	return rapid.Map(rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune{0, 1, 'a', 'b', 'ÿ'}))), String)
}

func genKey() *rapid.Generator[Value] {
	return rapid.OneOf(genScalar(S), genScalar(N), genScalar(B))
}

func genSet(kind Kind) *rapid.Generator[Value] {
	return rapid.Map(rapid.SliceOfN(genScalar(memberKinds[kind]), 1, 5), func(members []Value) Value {
		texts := make([]string, len(members))
		for i, m := range members {
			texts[i] = m.text
		}
		return Set(kind, texts)
	})
}

func genValue(depth int) *rapid.Generator[Value] {
	simple := []*rapid.Generator[Value]{
		genKey(), rapid.Map(rapid.Bool(), Bool), rapid.Just(Null()), genSet(SS), genSet(NS), genSet(BS),
	}
	if depth > 0 {
		simple = append(simple,
			rapid.Map(rapid.SliceOfN(genValue(depth-1), 0, 4), List),
			rapid.Map(genItem(depth-1), Map))
	}
	return rapid.OneOf(simple...)
}

func itemOf(m map[string]Value) Item { return NewItem(listed(m)) }

// listed gives the fields in any order.
func listed(m map[string]Value) []Field {
	fields := make([]Field, 0, len(m))
	for name, v := range m {
		fields = append(fields, Field{name, v})
	}
	return fields
}

func genItem(depth int) *rapid.Generator[Item] {
	return rapid.Map(rapid.MapOfN(rapid.StringN(1, -1, -1), genValue(depth), 0, 5), itemOf)
}
