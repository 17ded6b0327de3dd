package value

import (
	"testing"

	"pgregory.net/rapid"
)

// An item is held against a map: names that are few, so that they meet.
func TestItem(t *testing.T) {
	t.Parallel()
	names := rapid.StringMatching(`[a-h]{0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		var fields []Field
		model := map[string]Value{}
		for _, name := range rapid.OneOf(rapid.SliceOf(names), rapid.SliceOfN(names, few+1, 3*few)).Draw(t, "names") {
			v := Int(int64(len(fields)))
			fields = append(fields, Field{name, v})
			model[name] = v
		}
		it := NewItem(fields)
		mustEqual(t, it, model)

		changes := rapid.MapOf(names, rapid.SampledFrom([]Value{{}, String("new")})).Draw(t, "changes")
		changed := it.With(listed(changes))
		mustEqual(t, it, model) // it stays as it was
		for name, v := range changes {
			if v.IsZero() {
				delete(model, name)
			} else {
				model[name] = v
			}
		}
		mustEqual(t, changed, model)
	})
}

func mustEqual(t *rapid.T, it Item, model map[string]Value) {
	if len(it) != len(model) || !inOrder(it) {
		t.Fatalf("%v; want %v in order", it, model)
	}
	for name := range model {
		if !Equal(it.Get(name), model[name]) {
			t.Fatalf("%s = %v; want %v", name, it.Get(name), model[name])
		}
	}
	if v := it.Get("absent"); !v.IsZero() {
		t.Fatalf("absent = %v", v)
	}
}

func TestNoItem(t *testing.T) {
	t.Parallel()
	if it := NewItem(nil); it != nil {
		t.Errorf("of nil = %v", it)
	}
	if it := NewItem([]Field{}); it == nil || len(it) != 0 {
		t.Errorf("of no fields = %#v", it)
	}
	if it := Item(nil).With(nil); it == nil || len(it) != 0 {
		t.Errorf("nothing with nothing = %#v", it)
	}
}
