package dynamodb

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// catalog is all tables and streams. It does not change: a change makes a new
// one. The writer works with the newest; requests see the last durable one.
type catalog struct {
	tables  map[string]*table // by name
	byID    map[uint32]*table
	streams map[uint32]*stream // those of deleted tables too, until trimmed
	lastID  uint32
}

func (c *catalog) clone() *catalog {
	return &catalog{tables: maps.Clone(c.tables), byID: maps.Clone(c.byID), streams: maps.Clone(c.streams), lastID: c.lastID}
}

func (c *catalog) table(name string) (*table, error) {
	if t := c.tables[name]; t != nil {
		return t, nil
	}
	return nil, errNoTable
}

func (c *catalog) streamByARN(arn, region string) *stream {
	for _, st := range c.streams {
		if st.arn(region) == arn {
			return st
		}
	}
	return nil
}

// nextID gives a number that no table or stream has had.
func (c *catalog) nextID(b *store.Batch) uint32 {
	c.lastID++
	b.Set(keyLastID, binary.BigEndian.AppendUint32(nil, c.lastID))
	return c.lastID
}

func (c *catalog) putTable(b *store.Batch, t *table) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	b.Set(metaKey('t', t.ID), text)
	c.tables[t.Name] = t
	c.byID[t.ID] = t
	return nil
}

// dropTable removes a table with everything in it.
func (c *catalog) dropTable(b *store.Batch, t *table) {
	for _, kind := range []byte{kindItem, kindEntry, kindExpiry} {
		prefix := tablePrefix(nil, kind, t.ID)
		b.DeleteRange(prefix, after(prefix))
	}
	b.Delete(metaKey('t', t.ID))
	b.Delete(countKey(t.ID))
	delete(c.tables, t.Name)
	delete(c.byID, t.ID)
}

func (c *catalog) putStream(b *store.Batch, st *stream) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	b.Set(metaKey('s', st.ID), text)
	st.text = string(text)
	c.streams[st.ID] = st
	return nil
}

// dropStream removes a stream with its records.
func (c *catalog) dropStream(b *store.Batch, st *stream) {
	prefix := tablePrefix(nil, kindRecord, st.ID)
	b.DeleteRange(prefix, after(prefix))
	b.Delete(metaKey('s', st.ID))
	delete(c.streams, st.ID)
}

// loadCatalog reads the catalog from the store; an empty store has an empty one.
func loadCatalog(v *store.View) (*catalog, error) {
	c := &catalog{tables: map[string]*table{}, byID: map[uint32]*table{}, streams: map[uint32]*stream{}}
	version, ok, err := v.Get(nil, keyVersion)
	if err != nil {
		return nil, err
	}
	if ok && string(version) != layoutVersion && string(version) != layoutFirst {
		return nil, fmt.Errorf("the table data was written by a version of this program that is newer: its layout is %q, not %q", version, layoutVersion)
	}
	if id, ok, err := v.Get(nil, keyLastID); err != nil {
		return nil, err
	} else if ok {
		c.lastID = binary.BigEndian.Uint32(id)
	}
	err = eachMeta(v, 's', func(text []byte) error {
		st := &stream{text: string(text)}
		if err := json.Unmarshal(text, st); err != nil {
			return err
		}
		c.streams[st.ID] = st
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = eachMeta(v, 't', func(text []byte) error {
		t := &table{}
		if err := json.Unmarshal(text, t); err != nil {
			return err
		}
		t.finish()
		t.stream = c.streams[t.StreamID]
		c.tables[t.Name], c.byID[t.ID] = t, t
		return nil
	})
	return c, err
}

func eachMeta(v *store.View, kind byte, each func(text []byte) error) error {
	prefix := []byte{kindMeta, kind}
	it, err := v.Iter(prefix, after(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		// The counters' keys are shorter than those of definitions.
		if len(it.Key()) < 6 {
			continue
		}
		if err := each(it.Value()); err != nil {
			_ = it.Close()
			return fmt.Errorf("the table data is damaged (a definition cannot be read: %w): restore it from a backup", err)
		}
	}
	return it.Close()
}
