package backup

import (
	"encoding/binary"
	"errors"
)

// A chunk is entries of a store one after the other, in the order of their keys: the length of the key as a varint, the key,
// the length of the value, the value.

func appendEntry(dst, key, value []byte) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(key))), key...)
	return append(binary.AppendUvarint(dst, uint64(len(value))), value...)
}

var errEntry = errors.New("an entry cannot be read")

// eachEntry calls each with the entries of a chunk; the slices are the chunk's.
func eachEntry(chunk []byte, each func(key, value []byte)) error {
	for len(chunk) > 0 {
		key, rest, ok := cut(chunk)
		if !ok {
			return errEntry
		}
		value, rest, ok := cut(rest)
		if !ok {
			return errEntry
		}
		each(key, value)
		chunk = rest
	}
	return nil
}

func cut(b []byte) (text, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(length)], b[n+int(length):], true
}
