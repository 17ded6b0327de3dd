package dynamo

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/bloom-runtime/bloom/shared/fault"
)

// Page is one page of a list: newest first.
type Page struct {
	Limit  int    // at most MaxLimit
	Cursor string // "" is the first page; else Next of the page before
}

// MaxLimit is the most that one page holds.
const MaxLimit = 200

// encodeCursor turns the sort key of the last entry shown into the opaque
// cursor of the page after it. It names its list, so that it fits no other, and
// ends in a checksum, so that a damaged one is told from a place nobody asked for.
func (l list) encodeCursor(sk string) string {
	text := []byte(l.name + ":" + sk)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(text, crc32.ChecksumIEEE(text)))
}

func (l list) decodeCursor(cursor string) (sk string, err error) {
	if cursor == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	end := len(text) - crc32.Size
	whole := err == nil && end > 0 && crc32.ChecksumIEEE(text[:end]) == binary.BigEndian.Uint32(text[end:])
	if whole {
		sk, whole = strings.CutPrefix(string(text[:end]), l.name+":")
	}
	if !whole || sk == "" || len(sk) > maxSortKey {
		f := fault.New(fault.Invalid, "The cursor is not one that this list gave")
		f.Fields = map[string][]string{"cursor": {"must be the cursor of a Link header of this list, unchanged"}}
		return "", f
	}
	return sk, nil
}

// maxSortKey is DynamoDB's limit, in bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const maxSortKey = 1024

// entry is a list entry: the key of its item, and its place in the list.
type entry struct {
	key  key
	sort string
}

// list describes a list that is spread over partitions of an index.
type list struct {
	name          string // what its cursors say
	index, pk, sk string
	partitions    []string
}

func (t *Table) lists(name string, prefixes ...string) list {
	l := list{name: name, index: indexLists, pk: attrListPK, sk: attrListSK}
	for _, p := range prefixes {
		l.partitions = append(l.partitions, t.spread(p)...)
	}
	return l
}

// newestItems reads the first limit items of a list before a place, merged over
// its partitions. It reads at most limit+1 of each; more tells whether there
// are others.
func (t *Table) newestItems(ctx context.Context, l list, before string, limit int) (items []item, more bool, err error) {
	found := make([][]item, len(l.partitions))
	g, gctx := errgroup.WithContext(ctx)
	for n, p := range l.partitions {
		g.Go(func() (err error) {
			found[n], err = t.query(gctx, query{index: l.index, pk: l.pk, sk: l.sk, partition: p,
				before: before, newestFirst: true, limit: limit + 1})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, false, err
	}
	for _, part := range found {
		items = append(items, part...)
	}
	sort.Slice(items, func(a, b int) bool { return items[a].str(l.sk) > items[b].str(l.sk) })
	if len(items) > limit {
		return items[:limit], true, nil
	}
	return items, false, nil
}

// newest is newestItems for a list whose entries only name their items.
func (t *Table) newest(ctx context.Context, l list, before string, limit int) ([]entry, bool, error) {
	items, more, err := t.newestItems(ctx, l, before, limit)
	entries := make([]entry, len(items))
	for n, i := range items {
		entries[n] = entry{keyOf(i), i.str(l.sk)}
	}
	return entries, more, err
}

// read fetches the items of entries, in their order. What has been deleted
// meanwhile is left out.
func (t *Table) read(ctx context.Context, entries []entry) ([]item, error) {
	keys := make([]key, len(entries))
	for n, e := range entries {
		keys[n] = e.key
	}
	return t.batch(ctx, keys, false)
}

// page reads one page of a list. next is "" after the last one.
func (t *Table) page(ctx context.Context, l list, p Page) (items []item, next string, err error) {
	before, err := l.decodeCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	entries, more, err := t.newest(ctx, l, before, p.Limit)
	if err != nil {
		return nil, "", err
	}
	if items, err = t.read(ctx, entries); err != nil {
		return nil, "", err
	}
	if more {
		next = l.encodeCursor(entries[len(entries)-1].sort)
	}
	return items, next, nil
}

// Bounds of a filtered page: what it reads at a time, and at most, before it
// answers with fewer entries than asked for and a cursor to go on from.
const (
	minChunk    = 50
	maxExamined = 1000
)

// source gives the first n entries before a place, newest first.
type source func(ctx context.Context, before string, n int) (entries []entry, more bool, err error)

func (t *Table) from(l list) source {
	return func(ctx context.Context, before string, n int) ([]entry, bool, error) {
		return t.newest(ctx, l, before, n)
	}
}

// filtered reads a page of the items of a source that keep accepts.
func (t *Table) filtered(ctx context.Context, l list, from source, p Page, keep func(item) bool) (items []item, next string, err error) {
	at, err := l.decodeCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	for examined := 0; examined < maxExamined; {
		entries, more, err := from(ctx, at, max(p.Limit, minChunk))
		if err != nil || len(entries) == 0 {
			return items, "", err
		}
		found, err := t.read(ctx, entries)
		if err != nil {
			return nil, "", err
		}
		place := places(entries)
		last := entries[len(entries)-1].sort
		for _, i := range found {
			if !keep(i) {
				continue
			}
			if items = append(items, i); len(items) == p.Limit {
				if at = place[keyOf(i)]; more || at != last {
					next = l.encodeCursor(at)
				}
				return items, next, nil
			}
		}
		if !more {
			return items, "", nil
		}
		at, examined = last, examined+len(entries)
	}
	return items, l.encodeCursor(at), nil
}

func places(entries []entry) map[key]string {
	m := make(map[key]string, len(entries))
	for _, e := range entries {
		m[e.key] = e.sort
	}
	return m
}
