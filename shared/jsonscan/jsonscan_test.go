package jsonscan

import (
	"encoding/json"
	"errors"
	"testing"
)

// What EachField finds is what encoding/json has, for every kind of value.
func TestEachField(t *testing.T) {
	t.Parallel()
	const text = ` { "a" : "x\"},]" , "b\\" : [1, {"c":[]}, "]"],"n":-1.5e3,"t":true,"z":null,"o":{},"e":"" } `
	var want map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	b := []byte(text)
	got := map[string]string{}
	end, err := EachField(b, 0, func(name []byte, at int) (int, error) {
		end, err := Skip(b, at)
		if err == nil {
			got[string(name)] = string(b[at:end])
		}
		return end, err
	})
	if err != nil || end != len(text)-1 || len(got) != len(want) {
		t.Fatalf("%v, end %d, %v", err, end, got)
	}
	for name, v := range want {
		if name == `b\` {
			name = `b\\` // names are given as written
		}
		if got[name] != string(v) {
			t.Errorf("%s: got %s, want %s", name, got[name], v)
		}
	}
	for n := range len(text) - 1 {
		cut := b[:n:n]
		_, err := EachField(cut, 0, func(_ []byte, at int) (int, error) { return Skip(cut, at) })
		if !errors.Is(err, ErrJSON) {
			t.Errorf("%s: %v", cut, err)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{`"plain"`: "plain", `"\u00e9\n\""`: "é\n\"", `""`: ""} {
		if got, ok := Text([]byte(value)); !ok || got != want {
			t.Errorf("%s: %q, %v", value, got, ok)
		}
	}
	for _, value := range []string{`1`, `null`, `{}`, ``, `"`} {
		if got, ok := Text([]byte(value)); ok {
			t.Errorf("%s: %q", value, got)
		}
	}
}

func FuzzSkip(f *testing.F) {
	f.Add([]byte(`{"a":["b\\",{}],"c":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, err := Skip(b, 0)
		if err != nil {
			return
		}
		if end <= 0 || end > len(b) {
			t.Fatalf("end %d of %d", end, len(b))
		}
	})
}
