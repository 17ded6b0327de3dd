package expr

import (
	"strconv"
	"sync"
	"testing"
)

func TestCache(t *testing.T) {
	t.Parallel()
	c := NewCache(2)
	first, err := c.Update("set a = b")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := c.Update("set a = b"); again != first {
		t.Error("the second text was parsed anew")
	}
	filter, _ := c.Condition("a = b", FilterExpression)
	condition, _ := c.Condition("a = b", ConditionExpression)
	if filter == condition || filter.field != FilterExpression || condition.field != ConditionExpression {
		t.Error("a filter and a condition of the same text are one")
	}
	if p, err := c.Projection("a"); p == nil || err != nil {
		t.Error(err)
	}
	if k, err := c.KeyCondition("a = b"); k == nil || err != nil {
		t.Error(err)
	}
	for range 2 {
		if _, err := c.Update("nonsense"); err == nil {
			t.Error("no error for nonsense")
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := NewCache(3)
	for i := range 100 {
		if _, err := c.Projection("a" + strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Projection("kept"); err != nil {
			t.Fatal(err)
		}
	}
	g := &c.projections
	if n := len(g.young) + len(g.old); n > 6 {
		t.Errorf("%d texts are kept", n)
	}
	_, young := g.young["kept"]
	if _, old := g.old["kept"]; !young && !old {
		t.Error("the text in use was forgotten")
	}
}

// Parsed expressions and the cache are shared between goroutines; the race detector watches.
func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	c := NewCache(2)
	it := item(t, testItem)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 50 {
				src := "#a = :x AND n > l[" + strconv.Itoa(i%5) + "]"
				condition, err := c.Condition(src, FilterExpression)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := condition.Eval(it, argsFor(t, src)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
