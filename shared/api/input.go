package api

import (
	"bytes"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/bloom-runtime/bloom/shared/fault"
)

// input is a JSON object under validation. Readers take fields out of it and
// note the rules that are broken; err tells them all at once. Fields that
// nobody reads are ignored, as the original ignored them.
type input struct {
	path   string // of this object within the body: "", "policy."
	fields map[string]jsontext.Value
	broken map[string][]string // field path → rules
}

// readInput decodes the body of a request: one JSON object, or nothing, which
// counts as {}. It refuses what is not strict JSON: broken UTF-8, lone
// surrogates, names that come twice, anything behind the object.
func readInput(r *request) (*input, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	in := &input{broken: map[string][]string{}}
	if len(bytes.TrimSpace(body)) == 0 {
		return in, nil
	}
	if err := checkDepth(body); err != nil {
		return nil, err
	}
	if in.fields, err = readFields(body); err != nil {
		return nil, notJSON(body, err)
	}
	return in, nil
}

// err is the error for all the rules that were broken; nil if none was.
func (in *input) err() error {
	if len(in.broken) == 0 {
		return nil
	}
	names := make([]string, 0, len(in.broken))
	for n := range in.broken {
		names = append(names, n)
	}
	sort.Strings(names)
	sentences := make([]string, len(names))
	for n, name := range names {
		sentences[n] = name + " " + strings.Join(in.broken[name], " and ")
	}
	f := fault.New(fault.Invalid, "Invalid input: %s", strings.Join(sentences, "; "))
	f.Fields = in.broken
	return f
}

func (in *input) breaks(name, rule string, args ...any) {
	in.broken[in.path+name] = append(in.broken[in.path+name], fmt.Sprintf(rule, args...))
}

// value is the raw value of a field; ok is false when it is absent or null.
func (in *input) value(name string) (v jsontext.Value, ok bool) {
	v, ok = in.fields[name]
	return v, ok && v.Kind() != 'n'
}

// stated reports whether the field is there and not null.
func (in *input) stated(name string) bool {
	_, ok := in.value(name)
	return ok
}

// text reads an optional string; "" when it is absent. limit counts characters.
func (in *input) text(name string, limit int) string {
	v, ok := in.value(name)
	if !ok {
		if _, null := in.fields[name]; null {
			in.breaks(name, "must be a string")
		}
		return ""
	}
	s, ok := in.stringOf(name, v, limit)
	if !ok {
		return ""
	}
	return s
}

// nullable is text for a field that may also be null, which is the same as "".
func (in *input) nullable(name string, limit int) string {
	if !in.stated(name) {
		return ""
	}
	return in.text(name, limit)
}

// required reads a string that must be there and not be empty.
func (in *input) required(name string, limit int) string {
	if _, there := in.fields[name]; !there {
		in.breaks(name, "is required")
		return ""
	}
	before := len(in.broken)
	s := in.text(name, limit)
	if s == "" && len(in.broken) == before {
		in.breaks(name, "must not be empty")
	}
	return s
}

func (in *input) stringOf(name string, v jsontext.Value, limit int) (string, bool) {
	if v.Kind() != '"' {
		in.breaks(name, "must be a string")
		return "", false
	}
	s, err := unquote(v)
	if err != nil {
		in.breaks(name, "must be valid Unicode")
		return "", false
	}
	if len(s) > limit && utf8.RuneCountInString(s) > limit {
		in.breaks(name, "must be at most %d characters", limit)
		return "", false
	}
	if strings.ContainsRune(s, 0) {
		in.breaks(name, "must not contain the character NUL")
		return "", false
	}
	return s, true
}

// unquote decodes a JSON string that a decoder has found to be one.
func unquote(v jsontext.Value) (string, error) {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1]), nil
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err
}

// withinBytes holds a string that has been read to a limit in bytes of UTF-8.
func (in *input) withinBytes(name, s string, limit int) {
	if len(s) > limit {
		in.breaks(name, "must be at most %d bytes", limit)
	}
}

// oneOf reads a string that must be one of a few; def when it is absent.
func oneOf[T ~string](in *input, name string, def T, allowed ...T) T {
	if _, there := in.fields[name]; !there && def != "" {
		return def
	}
	s := T(in.required(name, 64))
	for _, a := range allowed {
		if s == a {
			return s
		}
	}
	words := make([]string, len(allowed))
	for n, a := range allowed {
		words[n] = strconv.Quote(string(a))
	}
	if len(in.broken[in.path+name]) == 0 {
		in.breaks(name, "must be one of %s", strings.Join(words, ", "))
	}
	return def
}

// integer reads a whole number between low and high; def when it is absent.
func (in *input) integer(name string, def, low, high int64) int64 {
	v, there := in.fields[name]
	if !there {
		return def
	}
	n, ok := whole(v)
	switch {
	case !ok:
		in.breaks(name, "must be a whole number")
	case n < low || n > high:
		in.breaks(name, "must be between %d and %d", low, high)
	default:
		return n
	}
	return def
}

// whole reads a JSON number without a fraction; 10.0 and 1e1 are ten.
func whole(v jsontext.Value) (int64, bool) {
	if v.Kind() != '0' {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// number reads a number that is not negative; def when it is absent.
func (in *input) number(name string, def float64) float64 {
	v, there := in.fields[name]
	if !there {
		return def
	}
	if v.Kind() != '0' {
		in.breaks(name, "must be a number")
		return def
	}
	f, err := strconv.ParseFloat(string(v), 64)
	switch {
	case f < 0:
		in.breaks(name, "must not be negative")
	case err != nil || f > maxNumber:
		in.breaks(name, "must be at most %g", maxNumber)
	case f == 0:
		return 0 // -0 too
	case f < minNumber:
		in.breaks(name, "must be 0 or at least %g", minNumber)
	default:
		return f
	}
	return def
}

// What a number may be is far from what DynamoDB's numbers can't hold, which
// begins at 1e-130 and 1e126.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
const (
	minNumber = 1e-6
	maxNumber = 1e15
)

// flag reads a boolean; def when it is absent.
func (in *input) flag(name string, def bool) bool {
	v, there := in.fields[name]
	switch {
	case !there:
		return def
	case v.Kind() == 't':
		return true
	case v.Kind() == 'f':
		return false
	default:
		in.breaks(name, "must be true or false")
		return def
	}
}

// texts reads a list of strings; an empty list when it is absent.
func (in *input) texts(name string, maxItems, maxLength int) []string {
	list := []string{}
	v, there := in.fields[name]
	if !there {
		return list
	}
	var raw []jsontext.Value
	if v.Kind() != '[' || json.Unmarshal(v, &raw) != nil {
		in.breaks(name, "must be a list of strings")
		return list
	}
	if len(raw) > maxItems {
		in.breaks(name, "must have at most %d entries", maxItems)
		return list
	}
	for n, e := range raw {
		s, ok := in.stringOf(fmt.Sprintf("%s[%d]", name, n), e, maxLength)
		if !ok {
			return list
		}
		list = append(list, s)
	}
	return list
}

// object reads an object within the input; an empty one when it is absent.
func (in *input) object(name string) *input {
	sub := &input{path: in.path + name + ".", broken: in.broken}
	v, there := in.fields[name]
	if !there {
		return sub
	}
	var err error
	if sub.fields, err = readFields(v); err != nil {
		in.breaks(name, "must be an object")
	}
	return sub
}
