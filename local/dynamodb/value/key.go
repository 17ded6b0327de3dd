package value

import (
	"strings"
	"unicode/utf8"
)

// Keys sort, byte by byte, as DynamoDB sorts the values: strings and bytes by their bytes, numbers by value. Each is
// self-delimiting: one key may follow another, and the pair sorts by the first key, then by the second.
//
//	S, B: tag, the bytes with 00 written as 00 FF, then 00 01
//	N:    tag (negative, zero or positive); then, unless zero, the exponent of 0.ddd × 10^e as one byte (e+129, since e is
//	      -129…126), the digits in pairs as 1…100, and 0. All bytes but the tag are inverted for negative numbers.
const (
	tagS        = 0x10
	tagNegative = 0x20
	tagZero     = 0x21
	tagPositive = 0x22
	tagB        = 0x30

	escaped    = 0xff
	terminator = 0x01

	exponentBias = 129
)

// AppendKey appends the key form of an S, N or B to dst. A value of another kind appends nothing: the caller has held it
// against the schema.
func AppendKey(dst []byte, v Value) []byte {
	switch v.kind {
	case S, B:
		return append(AppendKeyPrefix(dst, v), 0, terminator)
	case N:
		return appendNumberKey(dst, v.text)
	}
	return dst
}

// AppendKeyPrefix appends what the keys of exactly those values begin with that are of the kind of v (S or B) and begin
// with it.
func AppendKeyPrefix(dst []byte, v Value) []byte {
	if v.kind == S {
		dst = append(dst, tagS)
	} else {
		dst = append(dst, tagB)
	}
	text := v.text
	for {
		i := strings.IndexByte(text, 0)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), 0, escaped)
		text = text[i+1:]
	}
}

func appendNumberKey(dst []byte, text string) []byte {
	if text == "0" {
		return append(dst, tagZero)
	}
	d, _ := scanDecimal(text)
	tag, flip := byte(tagPositive), byte(0)
	if d.negative {
		tag, flip = tagNegative, 0xff
	}
	dst = append(dst, tag, byte(d.exponent+1+exponentBias)^flip)
	for i := 0; i < len(d.digits); i += 2 {
		pair := (d.digits[i] - '0') * 10
		if i+1 < len(d.digits) {
			pair += d.digits[i+1] - '0'
		}
		dst = append(dst, (pair+1)^flip)
	}
	return append(dst, flip)
}

// DecodeKey reads one key and gives the bytes after it; ErrDamaged when b does not begin with a key.
func DecodeKey(b []byte) (v Value, rest []byte, err error) {
	if len(b) == 0 {
		return Value{}, nil, ErrDamaged
	}
	tag, b := b[0], b[1:]
	switch tag {
	case tagS:
		return decodeTextKey(S, b)
	case tagB:
		return decodeTextKey(B, b)
	case tagZero:
		return Value{kind: N, text: "0"}, b, nil
	case tagPositive:
		return decodeNumberKey(b, 0)
	case tagNegative:
		return decodeNumberKey(b, 0xff)
	}
	return Value{}, nil, ErrDamaged
}

func decodeTextKey(kind Kind, b []byte) (Value, []byte, error) {
	text := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != 0 {
			text = append(text, b[i])
			continue
		}
		if i++; i == len(b) {
			break
		}
		switch b[i] {
		case terminator:
			if kind == S && !utf8.Valid(text) {
				return Value{}, nil, ErrDamaged
			}
			return Value{kind: kind, text: string(text)}, b[i+1:], nil
		case escaped:
			text = append(text, 0)
		default:
			return Value{}, nil, ErrDamaged
		}
	}
	return Value{}, nil, ErrDamaged
}

func decodeNumberKey(b []byte, flip byte) (Value, []byte, error) {
	if len(b) == 0 {
		return Value{}, nil, ErrDamaged
	}
	d := decimal{negative: flip != 0, exponent: int(b[0]^flip) - exponentBias - 1}
	var digits []byte
	for i := 1; i < len(b) && i <= maxDigits/2+1; i++ {
		pair := b[i] ^ flip
		if pair == 0 {
			d.digits = strings.TrimSuffix(string(digits), "0")
			return finishNumberKey(d, b[i+1:])
		}
		if pair > 100 {
			break
		}
		digits = append(digits, '0'+(pair-1)/10, '0'+(pair-1)%10)
	}
	return Value{}, nil, ErrDamaged
}

func finishNumberKey(d decimal, rest []byte) (Value, []byte, error) {
	if d.digits == "" || d.digits[0] == '0' || d.digits[len(d.digits)-1] == '0' {
		return Value{}, nil, ErrDamaged
	}
	n, err := d.number()
	if err != nil {
		return Value{}, nil, ErrDamaged
	}
	return Numeric(n), rest, nil
}
