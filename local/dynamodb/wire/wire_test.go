package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// request is what decode reads: a member of each kind.
type request struct {
	Name    Text
	Flag    bool
	Number  *int64
	List    []string
	Names   value.Item
	Raw     string
	Skipped bool
}

func decode(src string) (request, error) {
	var r request
	d := New(src)
	err := d.Document(func(name string) error {
		switch name {
		case "Name":
			return d.Text(&r.Name)
		case "Flag":
			return d.Bool(&r.Flag)
		case "Number":
			return d.Int(&r.Number)
		case "List":
			return d.Strings(&r.List)
		case "Names":
			return d.StringMap(&r.Names)
		case "Raw":
			return d.RawInto(&r.Raw)
		}
		r.Skipped = true
		return d.Skip()
	})
	return r, err
}

func TestDecode(t *testing.T) {
	t.Parallel()
	name, n := Text{"ä\"\n😀/", true}, int64(-12)
	cases := []struct {
		src  string
		want request
	}{
		{`{}`, request{}},
		{" {\t} \n", request{}},
		{`{"Name":null,"Flag":null,"Number":null,"List":null,"Names":null,"Raw":null}`, request{}},
		{`{"Name":"\u00e4\"\n\ud83d\ude00\/","Flag":true,"Number":-12}`, request{Name: name, Flag: true, Number: &n}},
		{`{"List":["a","b"],"Names":{"#a":"b"}}`, request{List: []string{"a", "b"}, Names: value.Item{{Name: "#a", Value: value.String("b")}}}},
		{`{"Raw" : {"a":[1,{"b":"}"}]} , "x":[[],{}]}`, request{Raw: `{"a":[1,{"b":"}"}]}`, Skipped: true}},
	}
	for _, tc := range cases {
		got, err := decode(tc.src)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v, %v", tc.src, got, err)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		"", "null x", "[]", `{"Name"}`, `{"Name":1}`, `{"Name":"a"`, `{"Name":"a"}}`, `{"Name":"a",}`, `{"Flag":"true"}`, `{"Flag":tru}`,
		`{"Number":"1"}`, `{"Number":1.5}`, `{"List":{}}`, `{"List":[1]}`, `{"Names":{"a":1}}`, `{"x":}`, `{"x":]}`, `{"x":"\`, `{"x":@}`,
		`{"Name":"\x"}`, `{"Name":"\u12"}`, `{"Name":"\ud800"}`, `{"Name":"\ud800\u0041"}`, "{\"Name\":\"\xc3\x28\"}", "{\"Name\":\"a\nb\"}",
		`{"x":` + strings.Repeat("[", 20000), `{"x":` + strings.Repeat(`{"a":`, 20000),
	} {
		_, err := decode(src)
		var e *value.Error
		if !errors.As(err, &e) || e.Code != value.CodeSerialization {
			t.Errorf("%.40s: got %v", src, err)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	o := Begin(nil)
	o.String("text", "a\"\\\n\x7fä<")
	o.Int("int", -5)
	o.Float("half", 0.5)
	o.Float("ten", 10)
	got := string(o.End())
	var back map[string]any
	if err := json.Unmarshal([]byte(got), &back); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	want := map[string]any{"text": "a\"\\\n\x7fä<", "int": -5.0, "half": 0.5, "ten": 10.0}
	if !reflect.DeepEqual(back, want) {
		t.Errorf("got %s", got)
	}
}

// FuzzDecode holds that nothing panics, and that what encoding/json takes for an
// object of these members is read alike.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"Name":"\ud83d\ude00","Raw":{"a":[1]}}`, `{"List":["a"],"Number":1e3}`, `{"x":[{}],"Flag":false}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		got, err := decode(src)
		var want struct{ Name *string }
		if json.Unmarshal([]byte(src), &want) != nil || err != nil || strings.Count(strings.ToLower(src), "name") != 1 {
			return
		}
		if got.Name.Given && want.Name != nil && utf8.ValidString(*want.Name) && got.Name.S != *want.Name {
			t.Errorf("%q: got %q, want %q", src, got.Name.S, *want.Name)
		}
	})
}
