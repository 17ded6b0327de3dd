package membridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	v2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/bloom-runtime/bloom/shared/fault"
)

// maxBody is the longest body taken, in bytes. It bounds what any of the fields may hold.
const maxBody = 64 << 10

// problem is one rule that a body breaks, as the original's validation says it.
// https://docs.pydantic.dev/latest/errors/validation_errors/
type problem struct {
	Type  string          `json:"type"`
	Loc   []any           `json:"loc"`
	Msg   string          `json:"msg"`
	Input json.RawMessage `json:"input"`
	Ctx   map[string]any  `json:"ctx,omitempty"`
}

type problems []problem

func (p problems) Error() string { return fmt.Sprintf("%d rules broken", len(p)) }

// input is a JSON object under validation. Fields that nobody reads are ignored.
type input struct {
	whole  jsontext.Value
	fields map[string]jsontext.Value
	path   []any
	bad    *problems
}

// readInput decodes a body: one JSON object in UTF-8. Of a name that comes twice the last counts, as in the original.
func readInput(r request) (*input, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fault.New(fault.Invalid, "The body could not be read").Because(err)
	case len(body) > maxBody:
		return nil, fault.New(fault.TooLarge, "The body must be at most %d bytes", maxBody)
	}
	in := &input{whole: bytes.TrimSpace(body), path: []any{"body"}, bad: &problems{}}
	if len(in.whole) == 0 {
		return nil, problems{{Type: "missing", Loc: in.path, Msg: "Field required", Input: json.RawMessage("null")}}
	}
	if err := v2.Unmarshal(in.whole, new(jsontext.Value), jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, problems{{Type: "json_invalid", Loc: []any{"body", offset(err)}, Msg: "JSON decode error",
			Input: json.RawMessage("{}"), Ctx: map[string]any{"error": "Expecting one JSON object in UTF-8"}}}
	}
	if in.whole.Kind() != '{' || v2.Unmarshal(in.whole, &in.fields, jsontext.AllowDuplicateNames(true)) != nil {
		return nil, problems{{Type: "model_attributes_type", Loc: in.path,
			Msg: "Input should be a valid dictionary or object to extract fields from", Input: json.RawMessage(in.whole)}}
	}
	return in, nil
}

func offset(err error) int64 {
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return s.ByteOffset
	}
	return 0
}

// err is all that was found; nil if nothing was.
func (in *input) err() error {
	if len(*in.bad) == 0 {
		return nil
	}
	return *in.bad
}

func (in *input) breaks(kind, msg string, ctx map[string]any, v jsontext.Value, place ...any) {
	*in.bad = append(*in.bad, problem{kind, append(append([]any{}, in.path...), place...), msg, json.RawMessage(v), ctx})
}

// value is a field; ok is false when it is not there. null counts as there.
func (in *input) value(name string) (v jsontext.Value, ok bool) {
	v, ok = in.fields[name]
	return v, ok
}

// stated says that a field is there and not null.
func (in *input) stated(name string) bool {
	v, ok := in.fields[name]
	return ok && v.Kind() != 'n'
}

// required reads a string that must be there.
func (in *input) required(name string, least, most int) string {
	v, ok := in.value(name)
	if !ok {
		in.breaks("missing", "Field required", nil, in.whole, name)
		return ""
	}
	return in.text(v, least, most, name)
}

// optional reads a string that may be absent or null; nil then.
func (in *input) optional(name string, most int) *string {
	if !in.stated(name) {
		return nil
	}
	s := in.text(in.fields[name], 0, most, name)
	return &s
}

func (in *input) text(v jsontext.Value, least, most int, place ...any) string {
	var s string
	if v.Kind() != '"' || v2.Unmarshal(v, &s) != nil {
		in.breaks("string_type", "Input should be a valid string", nil, v, place...)
		return ""
	}
	switch n := utf8.RuneCountInString(s); {
	case n < least:
		in.breaks("string_too_short", "String should have at least "+plural(least, "character"), map[string]any{"min_length": least}, v, place...)
	case n > most:
		in.breaks("string_too_long", "String should have at most "+plural(most, "character"), map[string]any{"max_length": most}, v, place...)
	default:
		return s
	}
	return ""
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// texts reads a list of strings; nil when it is absent.
func (in *input) texts(name string, most, longest int) []string {
	v, ok := in.value(name)
	if !ok {
		return nil
	}
	var entries []jsontext.Value
	if v.Kind() != '[' || v2.Unmarshal(v, &entries) != nil {
		in.breaks("list_type", "Input should be a valid list", nil, v, name)
		return nil
	}
	if len(entries) > most {
		in.breaks("too_long", fmt.Sprintf("List should have at most %d items after validation, not %d", most, len(entries)),
			map[string]any{"field_type": "List", "max_length": most, "actual_length": len(entries)}, v, name)
		return nil
	}
	out := []string{}
	for n, e := range entries {
		out = append(out, in.text(e, 0, longest, name, n))
	}
	return out
}

// integer reads a whole number that may be absent or null; nil then. A string of one is taken, as the original takes it, and so
// is true for 1.
func (in *input) integer(name string, low, high int64) *int64 {
	if !in.stated(name) {
		return nil
	}
	v := in.fields[name]
	n, kind, msg := whole(v)
	switch {
	case kind != "":
		in.breaks(kind, msg, nil, v, name)
	case n < low:
		in.breaks("greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %d", low), map[string]any{"ge": low}, v, name)
	case n > high:
		in.breaks("less_than_equal", fmt.Sprintf("Input should be less than or equal to %d", high), map[string]any{"le": high}, v, name)
	}
	return &n
}

func whole(v jsontext.Value) (n int64, kind, msg string) {
	const tooLong = "Unable to parse input string as an integer, exceeded maximum size"
	switch v.Kind() {
	case 't', 'f':
		if v.Kind() == 't' {
			n = 1
		}
		return n, "", ""
	case '"':
		var s string
		_ = v2.Unmarshal(v, &s) // it is a string
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange):
			return 0, "int_parsing_size", tooLong
		case err != nil:
			return 0, "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
		}
		return n, "", ""
	case '0':
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n, "", ""
		}
		f, err := strconv.ParseFloat(string(v), 64)
		switch {
		case err != nil || math.Abs(f) >= 1<<63:
			return 0, "int_parsing_size", tooLong
		case f != math.Trunc(f):
			return 0, "int_from_float", "Input should be a valid integer, got a number with a fractional part"
		}
		return int64(f), "", ""
	}
	return 0, "int_type", "Input should be a valid integer"
}

// seconds reads a time in seconds that may be absent or null; nil then. It is kept to the microsecond.
func (in *input) seconds(name string) *float64 {
	if !in.stated(name) {
		return nil
	}
	v, f := in.fields[name], 0.0
	var err error
	switch v.Kind() {
	case '0':
		f, err = strconv.ParseFloat(string(v), 64)
	case '"':
		var s string
		_ = v2.Unmarshal(v, &s) // it is a string
		if f, err = strconv.ParseFloat(strings.TrimSpace(s), 64); err != nil || math.IsNaN(f) {
			in.breaks("float_parsing", "Input should be a valid number, unable to parse string as a number", nil, v, name)
			return nil
		}
	case 't':
		f = 1
	case 'f':
	default:
		in.breaks("float_type", "Input should be a valid number", nil, v, name)
		return nil
	}
	if err != nil || math.Abs(f) > maxSeconds {
		in.breaks("less_than_equal", fmt.Sprintf("Input should be less than or equal to %d", int64(maxSeconds)), map[string]any{"le": int64(maxSeconds)}, v, name)
		return nil
	}
	f = math.Round(f*1e6) / 1e6
	return &f
}

// maxSeconds is the latest time taken: the year 5138.
const maxSeconds = 1e11

// flag reads a boolean; def when it is absent.
func (in *input) flag(name string, def bool) bool {
	v, ok := in.value(name)
	switch {
	case !ok:
		return def
	case v.Kind() == 't', v.Kind() == 'f':
		return v.Kind() == 't'
	}
	in.breaks("bool_type", "Input should be a valid boolean", nil, v, name)
	return def
}

// object reads a nested object; nil when it is absent or null.
func (in *input) object(name string) *input {
	if !in.stated(name) {
		return nil
	}
	v := in.fields[name]
	o := &input{whole: v, path: append(append([]any{}, in.path...), name), bad: in.bad}
	if v.Kind() != '{' || v2.Unmarshal(v, &o.fields, jsontext.AllowDuplicateNames(true)) != nil {
		in.breaks("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", nil, v, name)
		return nil
	}
	return o
}
