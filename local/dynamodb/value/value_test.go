package value

import (
	"testing"

	"pgregory.net/rapid"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	for k := S; k <= BS; k++ {
		if got, ok := KindOf(k.String()); !ok || got != k {
			t.Errorf("KindOf(%q) = %v, %t", k, got, ok)
		}
	}
	for _, name := range []string{"", "s", "X"} {
		if k, ok := KindOf(name); ok {
			t.Errorf("KindOf(%q) = %v", name, k)
		}
	}
	if got := Kind(99).String(); got != "" {
		t.Errorf("Kind(99) is called %q", got)
	}
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	if v := Int(42); v.Kind() != N || v.Text() != "42" || v.Number().String() != "42" {
		t.Errorf("Int = %v", v)
	}
	if v := String("x"); v.Number().String() != "0" || v.List() != nil || v.Map() != nil || v.Members() != nil || v.IsSet() || v.Truth() {
		t.Errorf("String = %v", v)
	}
	if v := Set(NS, []string{"10", "9", "10"}); !v.IsSet() || len(v.Members()) != 2 || v.Members()[0] != "9" {
		t.Errorf("Set = %v", v)
	}
	if v := Set(SS, nil); !v.IsZero() {
		t.Errorf("Set of nothing = %v", v)
	}
	if v := List([]Value{Map(Item{{"a", Null()}}), Null()}); v.Levels() != 3 {
		t.Errorf("Levels = %d", v.Levels())
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	different := []Value{
		{}, String(""), String("1"), Int(1), Binary([]byte("1")), Bool(true), Bool(false), Null(), List(nil), List([]Value{Int(1)}), Map(nil),
		Map(Item{{"a", Int(1)}}), Map(Item{{"b", Int(1)}}), Map(Item{{"a", Int(2)}}), Set(SS, []string{"1"}), Set(NS, []string{"1"}), Set(BS, []string{"1"}),
	}
	for i, a := range different {
		for j, b := range different {
			if Equal(a, b) != (i == j) {
				t.Errorf("Equal(%v, %v) = %t", a, b, Equal(a, b))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		it := genItem(2).Draw(t, "item")
		if clone := it.With(nil); !EqualItems(it, clone) || !Equal(Map(it), Map(clone)) {
			t.Fatalf("%v differs from its copy", it)
		}
	})
}

func TestCompareWithoutOrder(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]Value{{String("1"), Int(1)}, {Bool(true), Bool(true)}, {Null(), Null()}, {{}, {}}, {List(nil), List(nil)}} {
		if order, ok := Compare(pair[0], pair[1]); ok {
			t.Errorf("Compare(%v, %v) = %d", pair[0], pair[1], order)
		}
	}
}
