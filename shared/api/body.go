package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/bloom-runtime/bloom/shared/fault"
)

// maxBody is more than API Gateway lets through to a function.
const maxBody = 10 << 20

// maxDepth is how deep arrays and objects may nest; no input of ours needs more
// than three levels.
const maxDepth = 32

func readBody(r *request) ([]byte, error) {
	var body bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= maxBody {
		body.Grow(int(r.ContentLength) + bytes.MinRead) // so much more, lest it grow to find the end
	}
	if _, err := body.ReadFrom(io.LimitReader(r.Body, maxBody+1)); err != nil {
		return nil, fault.New(fault.Invalid, "The body could not be read").Because(err)
	}
	if body.Len() > maxBody {
		return nil, fault.New(fault.TooLarge, "The body must be at most %d bytes", maxBody)
	}
	return body.Bytes(), nil
}

var errNoObject = errors.New("not a JSON object")

var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// readFields takes an object apart. The values are parts of text.
func readFields(text []byte) (map[string]jsontext.Value, error) {
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(text))
	if d.PeekKind() != '{' {
		if _, err := d.ReadValue(); err != nil {
			return nil, err
		}
		return nil, errNoObject
	}
	_, _ = d.ReadToken() // the brace
	fields := map[string]jsontext.Value{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		end := int(d.InputOffset())
		fields[key] = text[end-len(v) : end : end] // what the decoder returns is its own
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errBehind
	}
	return fields, nil
}

var errBehind = errors.New("something follows the object")

func bodyFault(rule string) error {
	f := fault.New(fault.Invalid, "The body %s", rule)
	f.Fields = map[string][]string{"body": {rule}}
	return f
}

// checkDepth refuses nesting that no input needs before anything is decoded.
func checkDepth(body []byte) error {
	if bytes.Count(body, []byte{'{'})+bytes.Count(body, []byte{'['}) <= maxDepth {
		return nil // not so many in all
	}
	depth, inString, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return bodyFault(fmt.Sprintf("must not nest deeper than %d levels", maxDepth))
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func notJSON(body []byte, err error) error {
	switch {
	case !utf8.Valid(body):
		return bodyFault("must be valid UTF-8")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return bodyFault("must not name a field twice")
	case errors.Is(err, errNoObject):
		return bodyFault("must be a JSON object")
	default:
		return bodyFault("must be one valid JSON object in UTF-8 without lone surrogates")
	}
}
