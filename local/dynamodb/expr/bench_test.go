package expr

import "testing"

// What a claim of a task does: a condition and an update with placeholders, parsed from the cache.
func BenchmarkConditionFromCache(b *testing.B) {
	const src = "attribute_exists(p) AND #a = :x AND (attribute_not_exists(q) OR n < :k OR m.c.d <> :lo)"
	cache, a, it := NewCache(100), argsFor(b, src), item(b, testItem)
	b.ReportAllocs()
	for b.Loop() {
		c, err := cache.Condition(src, ConditionExpression)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Check(a); err != nil {
			b.Fatal(err)
		}
		if ok, err := c.Eval(it, a); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkUpdateFromCache(b *testing.B) {
	const src = "SET #a = :lo, q = :x, n = n + :n, m.b = :n REMOVE bi ADD b :n"
	cache, a, it := NewCache(100), argsFor(b, src), item(b, testItem)
	b.ReportAllocs()
	for b.Loop() {
		u, err := cache.Update(src)
		if err != nil {
			b.Fatal(err)
		}
		if err := u.Check(a); err != nil {
			b.Fatal(err)
		}
		if _, err := u.Apply(it, a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseUpdate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseUpdate("SET #a = :lo, q = :x, n = n + :n, m.b = :n REMOVE bi ADD b :n"); err != nil {
			b.Fatal(err)
		}
	}
}
