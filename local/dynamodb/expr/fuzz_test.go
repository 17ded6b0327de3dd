package expr

import (
	"errors"
	"slices"
	"testing"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// allArgs defines every placeholder of the tests, so that mutated expressions get past the check.
func allArgs(f *testing.F) Args {
	f.Helper()
	a, err := NewArgs(namesOf(testNames), testValues)
	if err != nil {
		f.Fatal(err)
	}
	return a
}

// mustBeOurs fails unless the error is one that a client may see.
func mustBeOurs(t *testing.T, src string, err error) {
	t.Helper()
	var e *value.Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("%q: %v", src, err)
	}
}

// mustBeStorable fails unless the item survives the way to the disk and to the client.
func mustBeStorable(t *testing.T, src string, it value.Item) {
	t.Helper()
	stored, err := value.DecodeStored(value.AppendStored(nil, it))
	if err != nil || !value.EqualItems(stored, it) {
		t.Errorf("%q gives %v, stored %v, %v", src, it, stored, err)
	}
	sent, err := value.ParseItem(string(value.AppendItem(nil, it)))
	if err != nil || !value.EqualItems(sent, it) {
		t.Errorf("%q gives %v, sent %v, %v", src, it, sent, err)
	}
}

func FuzzCondition(f *testing.F) {
	for _, src := range []string{
		"#a = :x AND (NOT contains(l, m.b) OR n BETWEEN :k AND b)", "attribute_type(a, :S) or size(#m.#b) in (:n, l[2].b)", "begins_with(a,:x) and attribute_not_exists(q)",
	} {
		f.Add(src)
	}
	a, it := allArgs(f), item(f, testItem)
	f.Fuzz(func(t *testing.T, src string) {
		c, err := ParseCondition(src, ConditionExpression)
		mustBeOurs(t, src, err)
		if err != nil {
			return
		}
		for _, args := range []Args{a, {}} {
			mustBeOurs(t, src, c.Check(args))
			for _, given := range []value.Item{it, nil} {
				_, err := c.Eval(given, args)
				mustBeOurs(t, src, err)
			}
			_ = slices.Collect(c.TopLevel(args))
		}
	})
}

func FuzzUpdate(f *testing.F) {
	for _, src := range []string{
		"SET n = n + :k, l[1] = list_append(:l, l), #m.q = if_not_exists(q, :x) REMOVE l[0], a", "ADD n :n, ss :ss DELETE ns :ns set m.c.d = (b)",
	} {
		f.Add(src)
	}
	a, it := allArgs(f), item(f, testItem)
	f.Fuzz(func(t *testing.T, src string) {
		u, err := ParseUpdate(src)
		mustBeOurs(t, src, err)
		if err != nil {
			return
		}
		err = u.Check(a)
		mustBeOurs(t, src, err)
		_ = slices.Collect(u.TopLevel(a))
		if err != nil {
			return // it is applied only once it was found right
		}
		for _, old := range []value.Item{it, nil} {
			updated, err := u.Apply(old, a)
			mustBeOurs(t, src, err)
			if err == nil {
				mustBeStorable(t, src, updated)
				mustBeStorable(t, src, u.Touched(updated, a))
			}
		}
		if !value.EqualItems(it, item(t, testItem)) {
			t.Errorf("%q changed the old item", src)
		}
	})
}

func FuzzProjection(f *testing.F) {
	f.Add("#a, m.c.d, l[2].b, l[0]")
	a, it := allArgs(f), item(f, testItem)
	f.Fuzz(func(t *testing.T, src string) {
		p, err := ParseProjection(src)
		mustBeOurs(t, src, err)
		if err != nil {
			return
		}
		mustBeOurs(t, src, p.Check(a))
		_ = slices.Collect(p.TopLevel(a))
		mustBeStorable(t, src, p.Project(it, a))
	})
}

func FuzzKeyCondition(f *testing.F) {
	f.Add("p = :x AND n between :k and :n")
	f.Add("#a = :x and begins_with(c, :lo)")
	a := allArgs(f)
	f.Fuzz(func(t *testing.T, src string) {
		k, err := ParseKeyCondition(src)
		mustBeOurs(t, src, err)
		if err != nil {
			return
		}
		r, err := k.Resolve(a, "p", "n")
		mustBeOurs(t, src, err)
		if err == nil && (r.Hash.IsZero() || r.Op != All && r.Low.IsZero() || r.Op == Between && r.High.IsZero()) {
			t.Errorf("%q: %+v", src, r)
		}
	})
}
