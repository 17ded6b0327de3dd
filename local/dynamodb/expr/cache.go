package expr

import "sync"

// Cache keeps parsed expressions by their source text, so that each distinct text is parsed once. It is safe for
// concurrent use. What does not parse is not kept.
type Cache struct {
	conditions    generations[conditionKey, *Condition]
	updates       generations[string, *Update]
	projections   generations[string, *Projection]
	keyConditions generations[string, *KeyCondition]
}

type conditionKey struct {
	src   string
	field Field
}

// NewCache makes a cache that keeps the last texts of each kind of expression, at least the given number of them and at
// most twice as many.
func NewCache(texts int) *Cache {
	c := &Cache{}
	c.conditions.limit, c.updates.limit, c.projections.limit, c.keyConditions.limit = texts, texts, texts, texts
	return c
}

// Condition is ParseCondition.
func (c *Cache) Condition(src string, field Field) (*Condition, error) {
	return c.conditions.get(conditionKey{src, field}, func() (*Condition, error) { return ParseCondition(src, field) })
}

// Update is ParseUpdate.
func (c *Cache) Update(src string) (*Update, error) {
	return c.updates.get(src, func() (*Update, error) { return ParseUpdate(src) })
}

// Projection is ParseProjection.
func (c *Cache) Projection(src string) (*Projection, error) {
	return c.projections.get(src, func() (*Projection, error) { return ParseProjection(src) })
}

// KeyCondition is ParseKeyCondition.
func (c *Cache) KeyCondition(src string) (*KeyCondition, error) {
	return c.keyConditions.get(src, func() (*KeyCondition, error) { return ParseKeyCondition(src) })
}

// generations is a map of bounded size: when the young generation is full it becomes the old one, and the old one is
// forgotten. What is found in the old one moves back into the young.
type generations[K comparable, V any] struct {
	mu         sync.RWMutex
	limit      int
	young, old map[K]V
}

func (g *generations[K, V]) get(key K, parse func() (V, error)) (V, error) {
	g.mu.RLock()
	v, ok := g.young[key]
	old, inOld := g.old[key]
	g.mu.RUnlock()
	if ok {
		return v, nil
	}
	if inOld {
		v = old
	} else {
		var err error
		if v, err = parse(); err != nil {
			return v, err
		}
	}
	g.put(key, v)
	return v, nil
}

func (g *generations[K, V]) put(key K, v V) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.young == nil || len(g.young) >= g.limit {
		g.old, g.young = g.young, make(map[K]V)
	}
	g.young[key] = v
}
