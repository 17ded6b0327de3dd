package value

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// storedVersion is the first byte of every stored item.
//
//	item   = version fields
//	fields = count { text value }        in any order: earlier programs wrote them so
//	value  = kind ( S N B: text | BOOL: 0 or 1 | NULL: | L: count { value } | M: fields | sets: count { text } )
//	text   = length bytes; counts and lengths are unsigned varints
const storedVersion = 1

// ErrDamaged says that bytes are not what this package wrote.
var ErrDamaged = errors.New("value: stored bytes are damaged")

// AppendStored appends the item's form on disk to dst.
func AppendStored(dst []byte, it Item) []byte {
	return appendFields(append(dst, storedVersion), it)
}

// Stored gives the item's form on disk, in memory of just its size.
func Stored(it Item) []byte { return AppendStored(make([]byte, 0, 1+storedSize(it)), it) }

// storedSize gives how many bytes appendFields appends.
func storedSize(it Item) int {
	n := countSize(len(it))
	for i := range it {
		n += textSize(it[i].Name) + it[i].Value.storedSize()
	}
	return n
}

func countSize(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

func textSize(s string) int { return countSize(len(s)) + len(s) }

func (v Value) storedSize() int {
	n := 1
	switch v.kind {
	case S, N, B:
		n += textSize(v.text)
	case BOOL:
		n++
	case L:
		n += countSize(len(v.compound.list))
		for _, e := range v.compound.list {
			n += e.storedSize()
		}
	case M:
		n += storedSize(v.compound.fields)
	case SS, NS, BS:
		n += countSize(len(v.compound.members))
		for _, m := range v.compound.members {
			n += textSize(m)
		}
	}
	return n
}

func appendFields(dst []byte, it Item) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(it)))
	for _, f := range it {
		dst = appendStoredValue(appendText(dst, f.Name), f.Value)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendStoredValue(dst []byte, v Value) []byte {
	dst = append(dst, byte(v.kind))
	switch v.kind {
	case S, N, B:
		return appendText(dst, v.text)
	case BOOL:
		if v.truth {
			return append(dst, 1)
		}
		return append(dst, 0)
	case L:
		dst = binary.AppendUvarint(dst, uint64(len(v.compound.list)))
		for _, e := range v.compound.list {
			dst = appendStoredValue(dst, e)
		}
	case M:
		return appendFields(dst, v.compound.fields)
	case SS, NS, BS:
		dst = binary.AppendUvarint(dst, uint64(len(v.compound.members)))
		for _, m := range v.compound.members {
			dst = appendText(dst, m)
		}
	}
	return dst
}

// DecodeStored reads what AppendStored wrote. The result shares no memory with b. Bytes that AppendStored cannot have
// written give ErrDamaged, never a panic.
func DecodeStored(b []byte) (Item, error) {
	r := reader{src: string(b)}
	if r.byte() != storedVersion {
		return nil, ErrDamaged
	}
	it := r.fields(1)
	if r.bad || r.src != "" {
		return nil, ErrDamaged
	}
	return it, nil
}

// maxReserved bounds the room that is made before elements are read, so that a damaged count costs no memory.
const maxReserved = 1024

// reader takes its source apart from the front; the texts that it gives are slices of it, so that an item costs one
// allocation for all of its strings. After the first damage bad is set and everything reads as zero.
type reader struct {
	src string
	bad bool
}

func (r *reader) fail() { r.bad, r.src = true, "" }

func (r *reader) byte() byte {
	if r.src == "" {
		r.fail()
		return 0
	}
	c := r.src[0]
	r.src = r.src[1:]
	return c
}

// count reads a count or length; each thing counted takes at least a byte, so a larger one is damage.
func (r *reader) count() int {
	var n uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if n > uint64(len(r.src)) {
				r.fail()
				return 0
			}
			return int(n)
		}
	}
	r.fail()
	return 0
}

func (r *reader) text() string {
	n := r.count()
	s := r.src[:n]
	r.src = r.src[n:]
	return s
}

func (r *reader) validText() string {
	s := r.text()
	if !utf8.ValidString(s) {
		r.fail()
	}
	return s
}

func (r *reader) numberText() string {
	s := r.text()
	if n, err := parseNumber(s); err != nil || n.text != s {
		r.fail()
		return "0"
	}
	return s
}

func (r *reader) fields(level int) Item {
	n := r.count()
	fields := make([]Field, 0, min(n, maxReserved))
	for range n {
		name := r.validText()
		fields = append(fields, Field{name, r.value(level)})
		if r.bad {
			return nil
		}
	}
	it := NewItem(fields)
	if len(it) != n {
		r.fail()
	}
	return it
}

func (r *reader) value(level int) Value {
	if level > MaxLevels {
		r.fail()
		return Value{}
	}
	kind := Kind(r.byte())
	switch kind {
	case S:
		return Value{kind: S, text: r.validText()}
	case N:
		return Value{kind: N, text: r.numberText()}
	case B:
		return Value{kind: B, text: r.text()}
	case BOOL:
		truth := r.byte()
		if truth > 1 {
			r.fail()
		}
		return Bool(truth == 1)
	case NULL:
		return Null()
	case L:
		return List(r.list(level + 1))
	case M:
		return Map(r.fields(level + 1))
	case SS, NS, BS:
		return r.set(kind)
	}
	r.fail()
	return Value{}
}

func (r *reader) list(level int) []Value {
	n := r.count()
	elements := make([]Value, 0, min(n, maxReserved))
	for range n {
		elements = append(elements, r.value(level))
		if r.bad {
			return nil
		}
	}
	return elements
}

func (r *reader) set(kind Kind) Value {
	read := r.text
	switch kind {
	case SS:
		read = r.validText
	case NS:
		read = r.numberText
	}
	n := r.count()
	members := make([]string, 0, min(n, maxReserved))
	for range n {
		members = append(members, read())
		if r.bad {
			return Value{}
		}
	}
	v := Set(kind, slices.Clone(members))
	if n == 0 || !slices.Equal(v.Members(), members) {
		r.fail()
	}
	return v
}
