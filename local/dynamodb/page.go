package dynamodb

import (
	"bytes"
	"context"
	"hash/fnv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// maxPage is how many bytes of items a Query or Scan reads, before its filter.
// The item that passes the mark is still in the page.
const maxPage = 1 << 20

// page is one call of Query or Scan: a stretch of a table or an index, and what
// to do with the items in it.
type page struct {
	table        *table
	index        *index // nil: the table itself
	hash         []byte // the partition's prefix; nil for a scan
	lower, upper []byte
	reverse      bool
	limit        int // items to look at; 0: no limit
	filter       *expr.Condition
	projection   *expr.Projection
	args         expr.Args
	countOnly    bool
	factor       readFactor
	consumed     string
	// A scan's part: segment of segments; segments is 0 for the whole.
	segment, segments uint64

	start   value.Item     // the ExclusiveStartKey
	nothing bool           // by a fault: read nothing and begin there again
	spent   map[string]int // bytes read of each partition, where faults count them
}

func (s *Server) newPage(name string, p *pageParams, e expressions) (*page, error) {
	t, err := s.catalog.Load().table(name)
	if err != nil {
		return nil, err
	}
	pg := &page{
		table: t, reverse: !p.forward, filter: e.filter, projection: e.projection, args: e.args,
		countOnly: p.sel == selectCount, factor: consistency(p.consistent), consumed: p.consumed,
	}
	if p.limit != nil {
		pg.limit = int(*p.limit)
	}
	if p.index.Given {
		if pg.index = t.index(p.index.S); pg.index == nil {
			return nil, invalid("The table does not have the specified index: %s", p.index.S)
		}
		if err := pg.checkIndex(p); err != nil {
			return nil, err
		}
	}
	return pg, pg.checkFilter(p)
}

func (pg *page) checkIndex(p *pageParams) error {
	ix := pg.index
	switch {
	case p.consistent:
		return invalid("Consistent reads are not supported on global secondary indexes")
	case p.sel == selectAll && ix.projected != nil:
		return invalidParameter("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", ix.Name)
	}
	if pg.projection != nil {
		if names := ix.missing(pg.projection.TopLevel(pg.args)); names != nil {
			return invalidParameter("Global secondary index %s does not project [%s]", ix.Name, strings.Join(names, ", "))
		}
	}
	if pg.filter != nil {
		if names := ix.missing(pg.filter.TopLevel(pg.args)); names != nil {
			return invalidParameter("Secondary index %s does not project one or more filter attributes: [%s]", ix.Name, strings.Join(names, ", "))
		}
	}
	return nil
}

// checkFilter refuses a query's filter on its key: that is the key condition's.
func (pg *page) checkFilter(p *pageParams) error {
	if pg.filter == nil || !p.exprs.keyCondition.Given {
		return nil
	}
	for name := range pg.filter.TopLevel(pg.args) {
		if pg.key().has(name) {
			return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", name)
		}
	}
	return nil
}

func (pg *page) key() *keySchema {
	if pg.index != nil {
		return &pg.index.Key
	}
	return &pg.table.Key
}

func (pg *page) prefix() []byte {
	if pg.index != nil {
		return pg.table.indexPrefix(make([]byte, 0, likelyKey), pg.index)
	}
	return tablePrefix(make([]byte, 0, likelyKey), kindItem, pg.table.ID)
}

// startAfter makes the page begin behind an earlier one's LastEvaluatedKey.
func (pg *page) startAfter(raw string) error {
	if raw == "" {
		return nil
	}
	start, err := value.ParseItem(raw)
	if err != nil {
		return err
	}
	if err := pg.checkStart(start); err != nil {
		return err
	}
	var key []byte
	if pg.index != nil {
		key = pg.table.entryKey(make([]byte, 0, likelyKey), pg.index, start)
	} else {
		key = pg.table.newItemKey(start)
	}
	if pg.hash != nil && !bytes.HasPrefix(key, pg.hash) {
		return invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	if bytes.Compare(key, pg.lower) < 0 || bytes.Compare(key, pg.upper) >= 0 {
		return invalid("The provided starting key does not match the range key predicate")
	}
	if pg.segments > 1 && !pg.inSegment(start) {
		return invalid("Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: %d Segment: %d", pg.segments, pg.segment)
	}
	pg.start = start
	if pg.reverse {
		pg.upper = key
	} else {
		pg.lower = append(key, 0)
	}
	return nil
}

func (pg *page) checkStart(start value.Item) error {
	attrs := pg.startAttrs()
	if len(start) != len(attrs) {
		return invalid("The provided starting key is invalid")
	}
	for _, a := range attrs {
		v := start.Get(a.Name)
		if v.Kind() != a.kind() {
			return invalid("The provided starting key is invalid: The provided key element does not match the schema")
		}
		if v.Kind() != value.N && v.Text() == "" {
			return invalid("The provided starting key is invalid: One or more parameter values are not valid. "+
				"The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", a.Name)
		}
	}
	return nil
}

// startAttrs are the attributes of a LastEvaluatedKey: the table's key and, on
// an index, the index's.
func (pg *page) startAttrs() []keyAttr {
	attrs := pg.table.Key.attrs()
	if pg.index == nil {
		return attrs
	}
	for _, a := range pg.index.Key.attrs() {
		if !pg.table.Key.has(a.Name) {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

// result is what a page found.
type result struct {
	answer         wire.Object // with the items so far
	count, scanned int
	size           int        // bytes of the items looked at
	last           value.Item // LastEvaluatedKey
}

func (s *Server) readPage(ctx context.Context, pg *page) ([]byte, error) {
	if s.faults != nil {
		return s.readPageWithFaults(ctx, pg)
	}
	view := s.store.View()
	defer view.Release()
	return pg.answer(ctx, view, &s.gaps)
}

// answer reads the page and writes the answer.
func (pg *page) answer(ctx context.Context, view *store.View, known *gaps) ([]byte, error) {
	r := pg.begin()
	if err := pg.read(ctx, view, known, r); err != nil {
		return nil, err
	}
	return pg.end(r), nil
}

func (pg *page) begin() *result {
	r := &result{answer: wire.Begin(make([]byte, 0, 512))}
	if !pg.countOnly {
		r.answer.Name("Items")
		r.answer.Buf = append(r.answer.Buf, '[')
	}
	return r
}

func (pg *page) read(ctx context.Context, view *store.View, known *gaps, r *result) error {
	if bytes.Compare(pg.lower, pg.upper) >= 0 {
		return nil
	}
	c, err := newCursor(view, known, pg.lower, pg.upper, pg.reverse)
	if err != nil {
		return internal(err)
	}
	err = pg.collect(ctx, c, r)
	if cerr := c.close(); err == nil && cerr != nil {
		err = internal(cerr)
	}
	return err
}

func (pg *page) collect(ctx context.Context, c *cursor, r *result) error {
	read := 0 // bytes, those of other segments too: a call should not go on for ever
	for ok := c.first(); ok; ok = c.next() {
		before := r.scanned
		n, err := pg.take(r, c.it)
		if pg.spent != nil {
			pg.spent[string(partitionOf(c.it.Key()))] += n
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		read += n
		// A page ends with an item of its own segment, where alone the next may begin.
		if r.scanned > before && (read >= maxPage || r.scanned == pg.limit) {
			r.last, err = pg.lastKey(c.it)
			return err
		}
	}
	return nil
}

// take looks at the item under the iterator and returns its size.
func (pg *page) take(r *result, it *pebble.Iterator) (int, error) {
	if pg.asStored() {
		return pg.takeStored(r, it)
	}
	item, err := pg.decode(it)
	if err != nil {
		return 0, err
	}
	size := value.Size(item)
	if pg.segments > 1 && !pg.inSegment(item) {
		return size, nil
	}
	r.scanned++
	r.size += size
	if pg.filter != nil {
		ok, err := pg.filter.Eval(item, pg.args)
		if err != nil || !ok {
			return size, err
		}
	}
	r.count++
	if pg.countOnly {
		return size, nil
	}
	if pg.projection != nil {
		item = pg.projection.Project(item, pg.args)
	}
	r.comma()
	r.answer.Buf = value.AppendItem(r.answer.Buf, item)
	return size, nil
}

// asStored tells whether the items are answered whole: then their stored form
// becomes JSON without being taken apart.
func (pg *page) asStored() bool {
	return pg.filter == nil && pg.projection == nil && pg.segments <= 1 && !pg.countOnly
}

func (pg *page) takeStored(r *result, it *pebble.Iterator) (int, error) {
	stored, err := it.ValueAndErr()
	if err != nil {
		return 0, internal(err)
	}
	r.scanned++
	r.count++
	r.comma()
	var size int
	if r.answer.Buf, size, err = value.TranscodeStored(r.answer.Buf, stored); err != nil {
		return 0, err
	}
	r.size += size
	return size, nil
}

// comma sets the newest item apart from the one before.
func (r *result) comma() {
	if r.count > 1 {
		r.answer.Buf = append(r.answer.Buf, ',')
	}
}

func (pg *page) decode(it *pebble.Iterator) (value.Item, error) {
	stored, err := it.ValueAndErr()
	if err != nil {
		return nil, internal(err)
	}
	return value.DecodeStored(stored)
}

// inSegment spreads partitions over segments.
func (pg *page) inSegment(item value.Item) bool {
	h := fnv.New64a()
	_, _ = h.Write(value.AppendKey(nil, item.Get(pg.key().Hash.Name))) // never fails
	return h.Sum64()%pg.segments == pg.segment
}

func (pg *page) lastKey(it *pebble.Iterator) (value.Item, error) {
	item, err := pg.decode(it)
	if err != nil {
		return nil, err
	}
	attrs := pg.startAttrs()
	key := make([]value.Field, len(attrs))
	for i, a := range attrs {
		key[i] = value.Field{Name: a.Name, Value: item.Get(a.Name)}
	}
	return value.NewItem(key), nil
}

func (pg *page) end(r *result) []byte {
	o := &r.answer
	if !pg.countOnly {
		o.Buf = append(o.Buf, ']')
	}
	o.Int("Count", int64(r.count))
	o.Int("ScannedCount", int64(r.scanned))
	if r.last != nil {
		o.Name("LastEvaluatedKey")
		o.Buf = value.AppendItem(o.Buf, r.last)
	}
	if wantsCapacity(pg.consumed) {
		var used capacity
		if n := pg.factor.units(r.size); pg.index != nil {
			used.index(pg.index.Name, n)
		} else {
			used.table = n
		}
		o.Name("ConsumedCapacity")
		o.Buf = used.appendJSON(o.Buf, pg.table.Name, pg.consumed, plainUnits)
	}
	return o.End()
}
