package value

import "encoding/base64"

// AppendItem appends the item in DynamoDB's JSON to dst. nil is `{}`.
func AppendItem(dst []byte, it Item) []byte {
	dst = append(dst, '{')
	for i, f := range it {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, f.Name), ':')
		dst = AppendValue(dst, f.Value)
	}
	return append(dst, '}')
}

// AppendValue appends the value in DynamoDB's JSON to dst.
func AppendValue(dst []byte, v Value) []byte {
	switch v.kind {
	case S:
		return append(appendQuoted(append(dst, `{"S":`...), v.text), '}')
	case N:
		dst = append(dst, `{"N":"`...)
		return append(append(dst, v.text...), `"}`...)
	case B:
		return append(appendBase64(append(dst, `{"B":`...), v.text), '}')
	case BOOL:
		if v.truth {
			return append(dst, `{"BOOL":true}`...)
		}
		return append(dst, `{"BOOL":false}`...)
	case NULL:
		return append(dst, `{"NULL":true}`...)
	case L:
		return appendList(append(dst, `{"L":`...), v.compound.list)
	case M:
		return append(AppendItem(append(dst, `{"M":`...), v.compound.fields), '}')
	case SS:
		return appendSet(append(dst, `{"SS":`...), v.compound.members, appendQuoted)
	case NS:
		return appendSet(append(dst, `{"NS":`...), v.compound.members, appendQuoted)
	case BS:
		return appendSet(append(dst, `{"BS":`...), v.compound.members, appendBase64)
	}
	return append(dst, '{', '}')
}

func appendList(dst []byte, elements []Value) []byte {
	dst = append(dst, '[')
	for i, e := range elements {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendValue(dst, e)
	}
	return append(dst, ']', '}')
}

func appendSet(dst []byte, members []string, appendMember func([]byte, string) []byte) []byte {
	dst = append(dst, '[')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, m)
	}
	return append(dst, ']', '}')
}

// appendQuoted appends s as a JSON string; it escapes what JSON demands and nothing else.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, s[done:]...), '"')
}

// appendBase64 appends bytes as a JSON string. It goes by chunks, since the encoder takes no strings; a chunk's length is a
// multiple of 3, so that only the last is padded.
func appendBase64(dst []byte, s string) []byte {
	var chunk [768]byte
	dst = append(dst, '"')
	for len(s) > 0 {
		n := copy(chunk[:], s)
		dst = base64.StdEncoding.AppendEncode(dst, chunk[:n])
		s = s[n:]
	}
	return append(dst, '"')
}
