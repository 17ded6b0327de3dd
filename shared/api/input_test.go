package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/shared/fault"
)

// asRequest is a request with a body, past the gateway.
func asRequest(t testing.TB, body io.Reader) *request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/", body)
	if err != nil {
		t.Fatal(err)
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return &request{Request: r}
}

func decode(t testing.TB, body string) (*input, error) {
	t.Helper()
	return readInput(asRequest(t, strings.NewReader(body)))
}

// mustDecode is for bodies whose fields, not whose JSON, are under test.
func mustDecode(t testing.TB, body string) *input {
	t.Helper()
	in, err := decode(t, body)
	if err != nil {
		t.Fatalf("%.80s: %v", body, err)
	}
	return in
}

func nest(open, inner, closing string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
}

// TestReadInput sends bodies that are wrong, or odd and right, as a whole.
func TestReadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		rule string // part of the rule that is broken; "" = none is
	}{
		"nothing":                          {"", ""},
		"blanks":                           {" \t\r\n", ""},
		"no fields":                        {"{}", ""},
		"blanks around":                    {" \n{\"a\":1}\n ", ""},
		"null":                             {"null", "object"},
		"a list":                           {"[]", "object"},
		"a list of it":                     {`[{"a":1}]`, "object"},
		"a string":                         {`"a"`, "object"},
		"a number":                         {"1", "object"},
		"true":                             {"true", "object"},
		"cut":                              {`{"a":1`, "valid JSON"},
		"open":                             {"{", "valid JSON"},
		"a bracket too much":               {`{"a":1}}`, "valid JSON"},
		"two values":                       {`{"a":1}{"a":1}`, "valid JSON"},
		"garbage behind":                   {`{"a":1} x`, "valid JSON"},
		"NUL behind":                       {"{\"a\":1}\x00", "valid JSON"},
		"a comma too much":                 {`{"a":1,}`, "valid JSON"},
		"single quotes":                    {`{'a':1}`, "valid JSON"},
		"a comment":                        {`/* */{"a":1}`, "valid JSON"},
		"a form":                           {"a=1&b=2", "valid JSON"},
		"a byte order mark":                {"\ufeff{}", "valid JSON"},
		"NaN":                              {`{"a":NaN}`, "valid JSON"},
		"a leading zero":                   {`{"a":01}`, "valid JSON"},
		"a raw control character":          {"{\"a\":\"\n\"}", "valid JSON"},
		"a raw NUL":                        {"{\"a\":\"\x00\"}", "valid JSON"},
		"an unknown escape":                {`{"a":"\x41"}`, "valid JSON"},
		"UTF-16":                           {"\xff\xfe{\x00}\x00", "UTF-8"},
		"broken UTF-8 in a value":          {"{\"a\":\"\xff\"}", "UTF-8"},
		"broken UTF-8 in a name":           {"{\"\xff\":1}", "UTF-8"},
		"broken UTF-8 in an unknown field": {"{\"zzz\":[{\"b\":\"\xc3\x28\"}]}", "UTF-8"},
		"a surrogate in UTF-8":             {"{\"a\":\"\xed\xa0\x80\"}", "UTF-8"},
		"a lone surrogate":                 {`{"a":"\ud800"}`, "surrogates"},
		"surrogates the wrong way":         {`{"a":"\udc00\ud800"}`, "surrogates"},
		"half a pair":                      {`{"a":"\ud83dx"}`, "surrogates"},
		"a lone surrogate in a name":       {`{"\ud800":1}`, "surrogates"},
		"a pair":                           {`{"a":"\ud83d\ude00"}`, ""},
		"a name twice":                     {`{"a":1,"a":1}`, "twice"},
		"a name twice, spelled otherwise":  {`{"a":1,"\u0061":1}`, "twice"},
		"a name twice further in":          {`{"p":{"a":1,"a":1}}`, "twice"},
		"names that differ in case":        {`{"a":1,"A":1}`, ""},
		"20,000 brackets":                  {nest("[", "", "]", 20_000), "nest"},
		"20,000 brackets in a field":       {`{"zzz":` + nest("[", "", "]", 20_000) + `}`, "nest"},
		"20,000 open brackets":             {strings.Repeat("[", 20_000), "nest"},
		"20,000 objects":                   {nest(`{"a":`, "1", "}", 20_000), "nest"},
		"32 levels":                        {nest(`{"a":`, "1", "}", 32), ""},
		"33 levels":                        {nest(`{"a":`, "1", "}", 33), "nest"},
		"brackets in a string":             {`{"a":"` + strings.Repeat("[{", 20_000) + `"}`, ""},
		"brackets behind an escaped quote": {`{"a":"\"` + strings.Repeat("[", 40) + `"}`, ""},
		"brackets behind a backslash":      {`{"a":"\\","b":` + nest("[", "", "]", 40) + `}`, "nest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, err := decode(t, c.body)
			if c.rule == "" {
				if err != nil || in.err() != nil {
					t.Errorf("%v", err)
				}
				return
			}
			wantField(t, err, "body")
			if fe, _ := errors.AsType[*fault.Error](err); !strings.Contains(strings.Join(fe.Fields["body"], " "), c.rule) {
				t.Errorf("got %v, want a rule about %s", err, c.rule)
			}
		})
	}
}

func TestReadInputTooLarge(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		strings.Repeat(" ", maxBody+1), `{"a":"` + strings.Repeat("x", 11<<20) + `"}`, strings.Repeat("[", 11<<20),
	} {
		if _, err := decode(t, body); !fault.Is(err, fault.TooLarge) {
			t.Errorf("%d bytes: %v", len(body), err)
		}
	}
	if _, err := decode(t, "{}"+strings.Repeat(" ", maxBody-2)); err != nil {
		t.Errorf("a body of exactly the limit: %v", err)
	}
}

func TestReadInputOfABrokenConnection(t *testing.T) {
	t.Parallel()
	_, err := readInput(asRequest(t, io.MultiReader(strings.NewReader(`{"a"`), failingReader{})))
	if !fault.Is(err, fault.Invalid) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// read is one reader of fields at work on the field f.
type read func(in *input) any

var (
	readText     read = func(in *input) any { return in.text("f", 4) }
	readNullable read = func(in *input) any { return in.nullable("f", 4) }
	readRequired read = func(in *input) any { return in.required("f", 4) }
	readInteger  read = func(in *input) any { return in.integer("f", 7, 1, 10) }
	readNumber   read = func(in *input) any { return in.number("f", 7) }
	readFlag     read = func(in *input) any { return in.flag("f", true) }
	readTexts    read = func(in *input) any { return in.texts("f", 2, 4) }
	readOneOf    read = func(in *input) any { return oneOf(in, "f", "a", "a", "b") }
	readMustOne  read = func(in *input) any { return oneOf(in, "f", "", "a", "b") }
	readInner    read = func(in *input) any { return in.object("f").integer("n", 7, 1, 10) }
)

// TestFields holds every reader to its rules. The value is put into {"f": …};
// "" leaves the field out.
func TestFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  string
		read  read
		value string
		want  any    // what it reads, when no rule is broken
		rule  string // the rule that is broken
		field string // that is named; "" = f
	}{
		{"text", readText, "", "", "", ""},
		{"text", readText, `""`, "", "", ""},
		{"text", readText, `"їжак"`, "їжак", "", ""},
		{"text", readText, `"😀😀😀😀"`, "😀😀😀😀", "", ""},
		{"text", readText, `"їжаки"`, nil, "must be at most 4 characters", ""},
		{"text", readText, "null", nil, "must be a string", ""},
		{"text", readText, "5", nil, "must be a string", ""},
		{"text", readText, "[]", nil, "must be a string", ""},
		{"text", readText, `"a\u0000"`, nil, "must not contain the character NUL", ""},
		{"nullable", readNullable, "", "", "", ""},
		{"nullable", readNullable, "null", "", "", ""},
		{"nullable", readNullable, `"abcd"`, "abcd", "", ""},
		{"nullable", readNullable, "true", nil, "must be a string", ""},
		{"required", readRequired, "", nil, "is required", ""},
		{"required", readRequired, "null", nil, "must be a string", ""},
		{"required", readRequired, `""`, nil, "must not be empty", ""},
		{"required", readRequired, `"abcde"`, nil, "must be at most 4 characters", ""},
		{"required", readRequired, `" "`, " ", "", ""},
		{"integer", readInteger, "", int64(7), "", ""},
		{"integer", readInteger, "1", int64(1), "", ""},
		{"integer", readInteger, "10", int64(10), "", ""},
		{"integer", readInteger, "10.0", int64(10), "", ""},
		{"integer", readInteger, "1e1", int64(10), "", ""},
		{"integer", readInteger, "100e-1", int64(10), "", ""},
		{"integer", readInteger, "0", nil, "must be between 1 and 10", ""},
		{"integer", readInteger, "-0", nil, "must be between 1 and 10", ""},
		{"integer", readInteger, "-5", nil, "must be between 1 and 10", ""},
		{"integer", readInteger, "11", nil, "must be between 1 and 10", ""},
		{"integer", readInteger, "1e12", nil, "must be between 1 and 10", ""},
		{"integer", readInteger, "9223372036854775807", nil, "must be between 1 and 10", ""},
		{"integer", readInteger, "9223372036854775808", nil, "must be a whole number", ""},
		{"integer", readInteger, "1.5", nil, "must be a whole number", ""},
		{"integer", readInteger, "1e400", nil, "must be a whole number", ""},
		{"integer", readInteger, "-1e400", nil, "must be a whole number", ""},
		{"integer", readInteger, "1e-400", nil, "must be between 1 and 10", ""},
		{"integer", readInteger, `"10"`, nil, "must be a whole number", ""},
		{"integer", readInteger, "null", nil, "must be a whole number", ""},
		{"integer", readInteger, "true", nil, "must be a whole number", ""},
		{"integer", readInteger, "[1]", nil, "must be a whole number", ""},
		{"number", readNumber, "", 7.0, "", ""},
		{"number", readNumber, "0", 0.0, "", ""},
		{"number", readNumber, "-0", 0.0, "", ""},
		{"number", readNumber, "0.5", 0.5, "", ""},
		{"number", readNumber, "1e15", 1e15, "", ""},
		{"number", readNumber, "1e-6", 1e-6, "", ""},
		{"number", readNumber, "1e-7", nil, "must be 0 or at least 1e-06", ""},
		{"number", readNumber, "1e-200", nil, "must be 0 or at least 1e-06", ""},
		{"number", readNumber, "1e16", nil, "must be at most 1e+15", ""},
		{"number", readNumber, "1e400", nil, "must be at most 1e+15", ""},
		{"number", readNumber, "-0.5", nil, "must not be negative", ""},
		{"number", readNumber, "-1e400", nil, "must not be negative", ""},
		{"number", readNumber, `"0"`, nil, "must be a number", ""},
		{"number", readNumber, "null", nil, "must be a number", ""},
		{"flag", readFlag, "", true, "", ""},
		{"flag", readFlag, "false", false, "", ""},
		{"flag", readFlag, "true", true, "", ""},
		{"flag", readFlag, "null", nil, "must be true or false", ""},
		{"flag", readFlag, "0", nil, "must be true or false", ""},
		{"flag", readFlag, `"true"`, nil, "must be true or false", ""},
		{"texts", readTexts, "", []string{}, "", ""},
		{"texts", readTexts, "[]", []string{}, "", ""},
		{"texts", readTexts, `["", "abcd"]`, []string{"", "abcd"}, "", ""},
		{"texts", readTexts, `["a","b","c"]`, nil, "must have at most 2 entries", ""},
		{"texts", readTexts, `["abcde"]`, nil, "must be at most 4 characters", "f[0]"},
		{"texts", readTexts, `["a",null]`, nil, "must be a string", "f[1]"},
		{"texts", readTexts, `["a",["b"]]`, nil, "must be a string", "f[1]"},
		{"texts", readTexts, `["\u0000"]`, nil, "must not contain the character NUL", "f[0]"},
		{"texts", readTexts, "null", nil, "must be a list of strings", ""},
		{"texts", readTexts, `"a"`, nil, "must be a list of strings", ""},
		{"texts", readTexts, `{"0":"a"}`, nil, "must be a list of strings", ""},
		{"oneOf", readOneOf, "", "a", "", ""},
		{"oneOf", readOneOf, `"b"`, "b", "", ""},
		{"oneOf", readOneOf, `"c"`, nil, `must be one of "a", "b"`, ""},
		{"oneOf", readOneOf, `"A"`, nil, `must be one of "a", "b"`, ""},
		{"oneOf", readOneOf, `""`, nil, "must not be empty", ""},
		{"oneOf", readOneOf, "null", nil, "must be a string", ""},
		{"oneOf", readOneOf, "1", nil, "must be a string", ""},
		{"oneOf without default", readMustOne, "", nil, "is required", ""},
		{"oneOf without default", readMustOne, `"a"`, "a", "", ""},
		{"object", readInner, "", int64(7), "", ""},
		{"object", readInner, "{}", int64(7), "", ""},
		{"object", readInner, `{"n":3,"other":1}`, int64(3), "", ""},
		{"object", readInner, `{"n":30}`, nil, "must be between 1 and 10", "f.n"},
		{"object", readInner, "null", nil, "must be an object", ""},
		{"object", readInner, "[]", nil, "must be an object", ""},
		{"object", readInner, `"{}"`, nil, "must be an object", ""},
	} {
		body := "{}"
		if c.value != "" {
			body = `{"f":` + c.value + `}`
		}
		in := mustDecode(t, body)
		got := c.read(in)
		name := c.kind + " " + c.value
		if c.rule == "" {
			if err := in.err(); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %#v %v, want %#v", name, got, err, c.want)
			}
			continue
		}
		field := c.field
		if field == "" {
			field = "f"
		}
		if rules := in.broken[field]; len(in.broken) != 1 || len(rules) != 1 || rules[0] != c.rule {
			t.Errorf("%s: broken %v, want %s %s", name, in.broken, field, c.rule)
		}
		wantField(t, in.err(), field)
	}
}

// TestAllRulesAtOnce: a caller learns everything that is wrong at once, in one
// sentence whose order does not change.
func TestAllRulesAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		in := mustDecode(t, `{"b":5,"c":{"d":"x"}}`)
		in.required("b", 10)
		in.required("a", 10)
		in.object("c").integer("d", 1, 1, 2)
		in.breaks("b", "must be at least %d", 6)
		err := in.err()
		want := "Invalid input: a is required; b must be a string and must be at least 6; c.d must be a whole number"
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Message != want || len(f.Fields) != 3 || len(f.Fields["b"]) != 2 {
			t.Fatalf("%v", f)
		}
	}
}

func TestStated(t *testing.T) {
	t.Parallel()
	in := mustDecode(t, `{"a":null,"b":0}`)
	for name, want := range map[string]bool{"a": false, "b": true, "c": false} {
		if in.stated(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"": "", "a": "****", "12345678": "****", "123456789": "1234****6789", "0123456789abcdef": "0123****cdef",
		"ключключ": "****", "довгийключ": "довг****ключ", strings.Repeat("k", 500): "kkkk****kkkk",
	} {
		if got := mask(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

func TestHeadEndsBetweenCharacters(t *testing.T) {
	t.Parallel()
	const s = "aї😀b" // 1 + 2 + 4 + 1 bytes
	for n, want := range []string{"", "a", "a", "aї", "aї", "aї", "aї", "aї😀", s, s, s} {
		if got := head(s, n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
	if got := head("", 0); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func TestHeaderSafe(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"": true, "aZ9~ !": true, "a\nb": false, "a\r\nX-Evil: 1": false, "ключ": false, "\x7f": false, "a\tb": false} {
		if headerSafe(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
