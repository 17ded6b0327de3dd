package value

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const everyKind = `{"s":{"S":"tëxt \" \\ \u0001"},"n":{"N":"-12.50"},"b":{"B":"AAEC/w=="},"t":{"BOOL":true},"f":{"BOOL":false},"z":{"NULL":true},
	"l":{"L":[{"S":""},{"L":[]}]},"m":{"M":{"x":{"M":{}}}},"ss":{"SS":["b","a"]},"ns":{"NS":["10","9.0"]},"bs":{"BS":["AQ==","AA=="]}}`

func TestParseItem(t *testing.T) {
	t.Parallel()
	got, err := ParseItem(everyKind)
	if err != nil {
		t.Fatal(err)
	}
	want := itemOf(map[string]Value{
		"s":  String("tëxt \" \\ \x01"),
		"n":  Numeric(mustNumber(t, "-12.5")),
		"b":  Binary([]byte{0, 1, 2, 255}),
		"t":  Bool(true),
		"f":  Bool(false),
		"z":  Null(),
		"l":  List([]Value{String(""), List(nil)}),
		"m":  Map(Item{{"x", Map(Item{})}}),
		"ss": Set(SS, []string{"a", "b"}),
		"ns": Set(NS, []string{"9", "10"}),
		"bs": Set(BS, []string{"\x00", "\x01"}),
	})
	if !EqualItems(got, want) {
		t.Errorf("ParseItem = %v; want %v", got, want)
	}
	if it, err := ParseItem(" null "); it != nil || err != nil {
		t.Errorf("null: %v, %v", it, err)
	}
}

func TestParseStrings(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`plain`:            "plain",
		`\"\\\/\b\f\n\r\t`: "\"\\/\b\f\n\r\t",
		`\u0041ü\u00fc`:    "Aüü",
		`\ud83d\ude00`:     "😀",
		`\u0000`:           "\x00",
		`a\\`:              `a\`,
	} {
		v, err := ParseValue(`{"S":"` + in + `"}`)
		if err != nil || v.Text() != want {
			t.Errorf("%s: %q, %v; want %q", in, v.Text(), err, want)
		}
	}
}

func TestParseLeniency(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Value{
		`{"S":"a","X":[1,{"y":null}],"N":null}`: String("a"), // other keys and nulls do not count
		`{"S":"a","S":"b"}`:                     {},          // but a type twice does
		"\t{ \"NS\"\r\n: [ \"1\" , \"2\" ] }":   Set(NS, []string{"1", "2"}),
	} {
		v, err := ParseValue(in)
		if want.IsZero() != (err != nil) || !want.IsZero() && !Equal(v, want) {
			t.Errorf("%s: %v, %v; want %v", in, v, err, want)
		}
	}
}

func nested(levels int) string {
	return strings.Repeat(`{"L":[`, levels-1) + `{"S":"x"}` + strings.Repeat(`]}`, levels-1)
}

func TestParseLevels(t *testing.T) {
	t.Parallel()
	if v, err := ParseValue(nested(MaxLevels)); err != nil || v.Levels() != MaxLevels {
		t.Errorf("%d levels: %v", v.Levels(), err)
	}
	for _, levels := range []int{MaxLevels + 1, 60, 20000} {
		expectError(t, nested(levels), CodeValidation, textNesting)
	}
	expectError(t, `{"X":`+strings.Repeat("[", 20000), CodeValidation, textNesting)
	expectError(t, strings.Repeat("[", 20000), CodeSerialization, "Unrecognized collection type class "+classValue)
}

func expectError(t *testing.T, in, code, message string) {
	t.Helper()
	v, err := ParseValue(in)
	var e *Error
	if !errors.As(err, &e) || e.Code != code || e.Message != message {
		t.Errorf("%.80s: %v, %v; want %s: %s", in, v, err, code, message)
	}
}

func TestParseRefusesByRule(t *testing.T) {
	t.Parallel()
	const one = "One or more parameter values were invalid: "
	for in, message := range map[string]string{
		`{}`:                            textNoType,
		`null`:                          textNoType,
		`{"S":null}`:                    textNoType,
		`{"Q":"a"}`:                     textNoType,
		`{"L":[null]}`:                  textNoType,
		`{"M":{"a":null}}`:              textNoType,
		`{"S":"a","N":"1"}`:             textManyTypes,
		`{"N":"x"}`:                     textNotNumber + ": x",
		`{"N":""}`:                      textNotNumber,
		`{"N":"1E126"}`:                 textOverflow,
		`{"NS":["1","x"]}`:              textNotNumber + ": x",
		`{"NULL":false}`:                one + "Null attribute value types must have the value of true",
		`{"SS":[]}`:                     one + "An string set  may not be empty",
		`{"NS":[]}`:                     one + "An number set  may not be empty",
		`{"BS":[]}`:                     one + "Binary sets should not be empty",
		`{"SS":["b","a","b"]}`:          one + "Input collection [b, a, b] contains duplicates.",
		`{"NS":["1","1.0"]}`:            "Input collection contains duplicates",
		`{"BS":["AA==","AA=="]}`:        one + "Input collection of type BS contains duplicates.",
		`{"L":[{"M":{"a":{"SS":[]}}}]}`: one + "An string set  may not be empty",
	} {
		expectError(t, in, CodeValidation, message)
	}
}

func TestParseRefusesByShape(t *testing.T) {
	t.Parallel()
	const toString = " cannot be converted to String"
	for in, message := range map[string]string{
		`"a"`:                       "Unexpected value type in payload",
		`5`:                         "Unexpected value type in payload",
		`[]`:                        "Unrecognized collection type class " + classValue,
		`{"S":5}`:                   "NUMBER_VALUE" + toString,
		`{"S":1.5}`:                 "DECIMAL_VALUE" + toString,
		`{"S":true}`:                "TRUE_VALUE" + toString,
		`{"N":5}`:                   "NUMBER_VALUE" + toString,
		`{"S":[]}`:                  "Unrecognized collection type class java.lang.String",
		`{"S":{}}`:                  textStructure,
		`{"B":5}`:                   "only base-64-encoded strings are convertible to bytes",
		`{"B":[]}`:                  "Unrecognized collection type class java.nio.ByteBuffer",
		`{"B":"YQ"}`:                "Base64 encoded length is expected a multiple of 4 bytes but found: 2",
		`{"B":"YR=="}`:              "Invalid last non-pad Base64 character dectected",
		`{"B":"Y!=="}`:              "Invalid Base64 character detected",
		`{"B":"Y\nQ="}`:             "Invalid Base64 character detected",
		`{"BOOL":"true"}`:           "Unexpected token received from parser",
		`{"BOOL":0}`:                "NUMBER_VALUE cannot be converted to Boolean",
		`{"BOOL":[]}`:               "Unrecognized collection type class java.lang.Boolean",
		`{"NULL":{}}`:               textStructure,
		`{"L":{}}`:                  textStructure,
		`{"L":"a"}`:                 textField,
		`{"SS":"a"}`:                textField,
		`{"M":"a"}`:                 textField,
		`{"M":[]}`:                  "Unrecognized collection type java.util.Map<java.lang.String, " + classValue + ">",
		`{"SS":[1]}`:                "NUMBER_VALUE" + toString,
		`{"L":[{"N":"x"},{"S":5}]}`: "NUMBER_VALUE" + toString, // a wrong shape wins over a broken rule before it
		"{\"S\":\"\xff\"}":          "The request body is not valid UTF-8",
		`{"S":"\ud800"}`:            "The request body holds an unpaired surrogate",
		`{"S":"\ud800\u0041"}`:      "The request body holds an unpaired surrogate",
		`{"S":"\udc00\ud800"}`:      "The request body holds an unpaired surrogate",
	} {
		expectError(t, in, CodeSerialization, message)
	}
	for _, in := range []string{
		``, `{`, `{"S"`, `{"S":`, `{"S":"a"`, `{"S":"a"}}`, `{"S":"a",}`, `{S:"a"}`, `{"S":"a" "N":"1"}`, `{"L":[}`, `{"L":[{"S":"a"},]}`,
		`{"S":"\x"}`, `{"S":"\u12"}`, `{"S":"\u12g4"}`, `{"S":"\`, "{\"S\":\"\n\"}", "{\"S\":\"\\n\n\"}", `{"S":-}`, `{"S":- 1}`, `{"S":1.}`, `{"S":1e}`, `{"S":tru}`, `{"BOOL":x}`, "{\"S\":\"a\"}\x00",
	} {
		expectError(t, in, CodeSerialization, "The request body is not valid JSON")
	}
}

func TestParseEach(t *testing.T) {
	t.Parallel()
	each, faults, err := ParseEach(`{":d":{},":a":{"N":"x"},":b":{"S":"ok"},":c":{},":d":{"S":"again"}}`)
	if err != nil || len(each) != 4 || len(faults) != 2 {
		t.Fatalf("ParseEach = %v, %v, %v", each, faults, err)
	}
	if faults[":a"] == nil || each.Get(":b").Text() != "ok" || faults[":c"].Message != textNoType || each.Get(":d").Text() != "again" {
		t.Errorf("ParseEach = %v, %v", each, faults)
	}
	if each, faults, err := ParseEach(`{":b":{"S":"ok"}}`); len(each) != 1 || faults != nil || err != nil {
		t.Errorf("without faults: %v, %v, %v", each, faults, err)
	}
	if each, faults, err := ParseEach(`null`); each != nil || faults != nil || err != nil {
		t.Errorf("null: %v, %v, %v", each, faults, err)
	}
	for _, in := range []string{`[]`, `5`, `{":a":5}`, `{":a":{"S":"x"}`, "\xff"} {
		if _, _, err := ParseEach(in); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}

func TestWireRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		it := genItem(3).Draw(t, "item")
		wire := AppendItem(nil, it)
		if !json.Valid(wire) {
			t.Fatalf("not JSON: %s", wire)
		}
		got, err := ParseItem(string(wire))
		if err != nil || !EqualItems(got, it) {
			t.Fatalf("ParseItem(%s) = %v, %v", wire, got, err)
		}
	})
}

func FuzzParseItem(f *testing.F) {
	f.Add([]byte(everyKind))
	f.Add([]byte(`{"a":{"S":"\ud83d\ude00"},"X":{"L":[{"N":"1E-130"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := ParseItem(string(b))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%q: %v", b, err)
			}
			return
		}
		if !json.Valid(b) {
			t.Errorf("took what is no JSON: %q", b)
		}
		again, err := ParseItem(string(AppendItem(nil, it)))
		if err != nil || !EqualItems(it, again) {
			t.Errorf("%q: %v, then %v, %v", b, it, again, err)
		}
		stored, err := DecodeStored(AppendStored(nil, it))
		if err != nil || !EqualItems(it, stored) {
			t.Errorf("%q: %v, stored %v, %v", b, it, stored, err)
		}
	})
}
