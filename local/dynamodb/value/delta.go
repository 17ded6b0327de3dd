package value

import "encoding/binary"

// deltaVersion is the first byte of every delta: what makes an item the one that it was before a change. Most changes touch few
// attributes, so that it is much shorter than the item.
//
//	delta   = version fields removed
//	removed = count { text }
//
// fields are the attributes as they were; removed names those that were not there.
const deltaVersion = 2

// AppendDelta appends to dst what makes of now the item that was before. same tells that the two are equal.
func AppendDelta(dst []byte, now, before Item) (delta []byte, same bool) {
	changed, added := differences(now, before, make([]Field, 0, 16), make([]Field, 0, 16))
	dst = appendFields(append(dst, deltaVersion), changed)
	dst = binary.AppendUvarint(dst, uint64(len(added)))
	for _, f := range added {
		dst = appendText(dst, f.Name)
	}
	return dst, len(changed)+len(added) == 0
}

// differences appends to changed the fields of before that now has not, or has otherwise, and to added those of now that
// before has not.
func differences(now, before Item, changed, added []Field) (Item, Item) {
	for _, f := range before {
		for len(now) > 0 && now[0].Name < f.Name {
			added, now = append(added, now[0]), now[1:]
		}
		if len(now) == 0 || now[0].Name != f.Name {
			changed = append(changed, f)
			continue
		}
		if !Equal(now[0].Value, f.Value) {
			changed = append(changed, f)
		}
		now = now[1:]
	}
	return changed, append(added, now...)
}

// TranscodeDelta appends the JSON of the item that delta makes of stored, and gives its size, as TranscodeStored does.
func TranscodeDelta(dst, delta, stored []byte) (json []byte, size int, err error) {
	d := transcoder{reader: reader{src: string(delta)}, dst: append(dst, '{')}
	if d.byte() != deltaVersion {
		return dst, 0, ErrDamaged
	}
	replaced := make([]string, 0, 16)
	for range d.count() {
		name := d.validText()
		replaced = append(replaced, name)
		size += d.field(name, len(replaced) > 1)
		if d.bad {
			return dst, 0, ErrDamaged
		}
	}
	kept := len(replaced) == 0 // nothing is written yet
	for range d.count() {
		replaced = append(replaced, d.validText())
	}
	t := transcoder{reader: reader{src: string(stored)}, dst: d.dst}
	if d.bad || d.src != "" || t.byte() != storedVersion {
		return dst, 0, ErrDamaged
	}
	for range t.count() {
		name := t.validText()
		if contains(replaced, name) {
			t.skip(1)
		} else {
			size += t.field(name, !kept)
			kept = false
		}
		if t.bad {
			return dst, 0, ErrDamaged
		}
	}
	if t.bad || t.src != "" {
		return dst, 0, ErrDamaged
	}
	return append(t.dst, '}'), size, nil
}

// field writes a field whose name has been read, and gives its size.
func (t *transcoder) field(name string, comma bool) int {
	if comma {
		t.dst = append(t.dst, ',')
	}
	t.dst = append(appendQuoted(t.dst, name), ':')
	return len(name) + t.value(1)
}

// skip reads a value without writing it.
func (t *transcoder) skip(level int) {
	written := len(t.dst)
	t.value(level)
	t.dst = t.dst[:written]
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}
