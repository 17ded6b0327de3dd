package expr

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// testItem is the item that most tests hold expressions against.
const testItem = `{"p":{"S":"k"},"a":{"S":"x"},"n":{"N":"5"},"b":{"N":"7"},"l":{"L":[{"N":"1"},{"N":"2"},{"M":{"b":{"N":"3"}}}]},
	"m":{"M":{"b":{"N":"1"},"c":{"M":{"d":{"S":"q"}}}}},"ss":{"SS":["c","a","b"]},"ns":{"NS":["10","9"]},"bs":{"BS":["YQ=="]},
	"t":{"BOOL":true},"bi":{"B":"YWI="},"nu":{"NULL":true},"x y":{"S":"spaced"},"u":{"S":"üx😀"}}`

var testNames = map[string]string{"#a": "a", "#m": "m", "#b": "b", "#x": "x y", "#i": "[3]"}

const testValues = `{":x":{"S":"x"},":n":{"N":"5"},":k":{"N":"2.5"},":l":{"L":[{"N":"1"}]},":m":{"M":{"b":{"N":"1"}}},":ss":{"SS":["a","z"]},
	":ns":{"NS":["9"]},":bs":{"BS":["YQ=="]},":t":{"BOOL":true},":z":{"NULL":true},":bi":{"B":"YWI="},":S":{"S":"S"},":empty":{"S":""},
	":lo":{"S":"a"},":hi":{"S":"z"},":abc":{"SS":["a","b","c"]},":big":{"N":"9E125"},":tiny":{"N":"1E-100"},":e":{"L":[]}}`

func item(t testing.TB, src string) value.Item {
	t.Helper()
	it, err := value.ParseItem(src)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// namesOf makes ExpressionAttributeNames; nil of nil.
func namesOf(m map[string]string) value.Item {
	if m == nil {
		return nil
	}
	fields := make([]value.Field, 0, len(m))
	for placeholder, name := range m {
		fields = append(fields, value.Field{Name: placeholder, Value: value.String(name)})
	}
	return value.NewItem(fields)
}

var placeholder = regexp.MustCompile(`[#:]\w+`)

// argsFor gives those of testNames and testValues that src mentions.
func argsFor(t testing.TB, src string) Args {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(testValues), &all); err != nil {
		t.Fatal(err)
	}
	var names map[string]string
	values := map[string]json.RawMessage{}
	for _, key := range placeholder.FindAllString(src, -1) {
		if name, ok := testNames[key]; ok {
			if names == nil {
				names = map[string]string{}
			}
			names[key] = name
		}
		if v, ok := all[key]; ok {
			values[key] = v
		}
	}
	var encoded json.RawMessage
	if len(values) > 0 {
		var err error
		if encoded, err = json.Marshal(values); err != nil {
			t.Fatal(err)
		}
	}
	a, err := NewArgs(namesOf(names), string(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// message gives the text of a ValidationException, "" for no error.
func message(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *value.Error
	if !errors.As(err, &e) || e.Code != value.CodeValidation {
		t.Fatalf("%T is no ValidationException: %v", err, err)
	}
	return e.Message
}
