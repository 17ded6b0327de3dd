package dynamodb

import (
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Limits of keys and items.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
const (
	maxHashKey  = 2048      // bytes
	maxRangeKey = 1024      // bytes
	maxItem     = 400 << 10 // bytes
)

// checkKey wants exactly the table's key attributes.
func (t *table) checkKey(key value.Item) error {
	attrs := t.Key.attrs()
	if len(key) != len(attrs) {
		return errKeySchema
	}
	for i, a := range attrs {
		v := key.Get(a.Name)
		if v.Kind() != a.kind() {
			return errKeySchema
		}
		if err := checkKeyValue(a, v, i == 0); err != nil {
			return err
		}
	}
	return nil
}

func checkKeyValue(a keyAttr, v value.Value, hash bool) error {
	n := len(v.Text())
	if v.Kind() == value.N {
		return nil
	}
	switch {
	case n == 0 && v.Kind() == value.S:
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", a.Name).of(keyEmpty)
	case n == 0:
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: %s", a.Name).of(keyEmpty)
	case hash && n > maxHashKey:
		return invalidParameter("Size of hashkey has exceeded the maximum size limit of2048 bytes")
	case !hash && n > maxRangeKey:
		return invalidParameter("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	}
	return nil
}

// checkItem wants an item that may be stored: its key there and of the right
// types, and the keys of indexes, where present, too. size is value.Size of it.
func (t *table) checkItem(item value.Item, size int) error {
	for i, a := range t.Key.attrs() {
		v := item.Get(a.Name)
		if v.IsZero() {
			return invalidParameter("Missing the key %s in the item", a.Name).of(keyMismatch)
		}
		if v.Kind() != a.kind() {
			return invalidParameter("Type mismatch for key %s expected: %s actual: %s", a.Name, a.Type, v.Kind()).of(keyMismatch)
		}
		if err := checkKeyValue(a, v, i == 0); err != nil {
			return err
		}
	}
	if err := t.checkIndexKeys(item); err != nil {
		return err
	}
	if size > maxItem {
		return invalid("Item size has exceeded the maximum allowed size")
	}
	return nil
}

func (t *table) checkIndexKeys(item value.Item) error {
	for _, ix := range t.Indexes {
		for i, a := range ix.Key.attrs() {
			v := item.Get(a.Name)
			if v.IsZero() {
				continue
			}
			if v.Kind() != a.kind() {
				return invalidParameter("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", a.Name, a.Type, v.Kind(), ix.Name)
			}
			if err := checkIndexValue(ix, a, v, i == 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkIndexValue(ix *index, a keyAttr, v value.Value, hash bool) error {
	if v.Kind() == value.N {
		return nil
	}
	most := maxRangeKey
	if hash {
		most = maxHashKey
	}
	switch n := len(v.Text()); {
	case n == 0:
		what := "string"
		if v.Kind() == value.B {
			what = "binary"
		}
		return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. "+
			"The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", what, ix.Name, a.Name).of(keyEmpty)
	case n > most:
		return invalidParameter("Size of index key %s of index %s has exceeded the maximum size limit of %d bytes", a.Name, ix.Name, most)
	}
	return nil
}
