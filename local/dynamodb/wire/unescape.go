package wire

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape resolves the escapes of a string's inside and checks its UTF-8.
func (d *Decoder) unescape(raw string) (string, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			r, n := utf8.DecodeRuneInString(raw[i:])
			if r == utf8.RuneError && n == 1 {
				return "", d.bad("Broken UTF-8 in a string")
			}
			out = append(out, raw[i:i+n]...)
			i += n
			continue
		}
		var n int
		if out, n = escape(out, raw[i:]); n == 0 {
			return "", d.bad("Broken escape in a string")
		}
		i += n
	}
	return string(out), nil
}

const escapes = "\"\\/bfnrt"
const escaped = "\"\\/\b\f\n\r\t"

// escape appends what the escape at the beginning of raw stands for; n is its
// length, 0 when it is broken.
func escape(out []byte, raw string) (_ []byte, n int) {
	if len(raw) < 2 {
		return out, 0
	}
	for i := range escapes {
		if raw[1] == escapes[i] {
			return append(out, escaped[i]), 2
		}
	}
	r, ok := hex4(raw)
	if !ok {
		return out, 0
	}
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(out, r), 6
	}
	low, ok := hex4(raw[6:])
	if !ok {
		return out, 0
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return out, 0
	}
	return utf8.AppendRune(out, r), 12
}

// hex4 reads \uXXXX.
func hex4(raw string) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(raw[2:6], 16, 16)
	return rune(n), err == nil
}
