package dynamodb

import "github.com/bloom-runtime/bloom/local/dynamodb/value"

// state is an item as the writer last saw or left it, and its stored form; both
// are nil when there is none.
type state struct {
	item   value.Item
	stored []byte
	size   int // as DynamoDB counts
}

// Bounds of one generation of the cache.
const (
	cacheItems = 4096
	cacheBytes = 2 << 20 // of stored forms
)

// itemCache holds the items that the writer touched of late. Only the writer
// changes items, so what is here is always right; it also holds what the batch
// under way has written and the store does not show yet. Two generations: when
// the young one is full, it becomes the old one and the old one is dropped.
type itemCache struct {
	young, old map[string]state
	bytes      int // in young
}

func newItemCache() *itemCache { return &itemCache{young: map[string]state{}} }

func (c *itemCache) get(key []byte) (state, bool) {
	st, ok := c.young[string(key)]
	if ok {
		return st, true
	}
	if st, ok = c.old[string(key)]; ok {
		c.put(string(key), st)
	}
	return st, ok
}

func (c *itemCache) put(key string, st state) {
	c.young[key] = st
	c.bytes += len(st.stored)
}

// turn makes room. It may only be called between batches: what a batch wrote is
// in the store only when the batch was applied.
func (c *itemCache) turn() {
	if len(c.young) < cacheItems && c.bytes < cacheBytes {
		return
	}
	c.old, c.young, c.bytes = c.young, make(map[string]state, len(c.young)), 0
}

// clear forgets everything: items were removed without the writer seeing each.
func (c *itemCache) clear() { c.young, c.old, c.bytes = map[string]state{}, nil, 0 }
