package value

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStoredRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		it := genItem(3).Draw(t, "item")
		stored := Stored(it)
		if len(stored) != 1+storedSize(it) {
			t.Fatalf("%d bytes; room for %d was made", len(stored), 1+storedSize(it))
		}
		got, err := DecodeStored(stored)
		if err != nil || !EqualItems(got, it) {
			t.Fatalf("DecodeStored = %v, %v; want %v", got, err, it)
		}
		if Size(got) != Size(it) {
			t.Fatalf("size changed from %d to %d", Size(it), Size(got))
		}
	})
}

// Earlier programs stored fields in any order.
func TestDecodeStoredOrder(t *testing.T) {
	t.Parallel()
	got, err := DecodeStored([]byte("\x01\x03\x01b\x05\x01c\x05\x01a\x05"))
	if want := (Item{{"a", Null()}, {"b", Null()}, {"c", Null()}}); err != nil || !EqualItems(got, want) {
		t.Errorf("DecodeStored = %v, %v", got, err)
	}
}

func TestTranscodeStored(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		it := genItem(3).Draw(t, "item")
		text, size, err := TranscodeStored([]byte("before"), AppendStored(nil, it))
		if err != nil || size != Size(it) {
			t.Fatalf("%v, size %d, want %d", err, size, Size(it))
		}
		rest, ok := strings.CutPrefix(string(text), "before")
		got, err := ParseItem(rest)
		if !ok || err != nil || !EqualItems(got, it) {
			t.Fatalf("%s, %v; want %v", text, err, it)
		}
	})
}

func TestTranscodeDelta(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before := genItem(3).Draw(t, "before")
		now := genItem(3).Draw(t, "now")
		for _, f := range before { // they have something in common
			if rapid.Bool().Draw(t, "kept") {
				now = now.With([]Field{f})
			}
		}
		delta, same := AppendDelta(nil, now, before)
		if same != EqualItems(now, before) {
			t.Fatalf("same %v", same)
		}
		text, size, err := TranscodeDelta([]byte("before"), delta, AppendStored(nil, now))
		if err != nil || size != Size(before) {
			t.Fatalf("%v, size %d, want %d", err, size, Size(before))
		}
		rest, ok := strings.CutPrefix(string(text), "before")
		got, err := ParseItem(rest)
		if !ok || err != nil || !EqualItems(got, before) {
			t.Fatalf("%s, %v; want %v", text, err, before)
		}
	})
}

func TestTranscodeDeltaDamage(t *testing.T) {
	t.Parallel()
	now := Item{{"a", String("1")}, {"b", String("2")}}
	stored := AppendStored(nil, now)
	delta, _ := AppendDelta(nil, now, Item{{"a", String("0")}, {"c", Bool(true)}})
	for cut := range delta {
		if _, _, err := TranscodeDelta(nil, delta[:cut], stored); !errors.Is(err, ErrDamaged) {
			t.Errorf("delta cut at %d: %v", cut, err)
		}
	}
	for cut := range stored {
		if _, _, err := TranscodeDelta(nil, delta, stored[:cut]); !errors.Is(err, ErrDamaged) {
			t.Errorf("item cut at %d: %v", cut, err)
		}
	}
	if _, _, err := TranscodeDelta(nil, append(delta, 0), stored); !errors.Is(err, ErrDamaged) {
		t.Errorf("bytes after the end: %v", err)
	}
	if _, _, err := TranscodeDelta(nil, stored, stored); !errors.Is(err, ErrDamaged) {
		t.Errorf("an item as delta: %v", err)
	}
}

func TestDecodeStoredDamage(t *testing.T) {
	t.Parallel()
	text := func(s string) string { return string(rune(len(s))) + s }
	attribute := "\x01\x01" + text("a")
	for name, b := range map[string]string{
		"nothing":              "",
		"another version":      "\x02\x00",
		"bytes after the end":  "\x01\x00x",
		"count too large":      "\x01\x05",
		"endless count":        "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"name not UTF-8":       "\x01\x01" + text("\xff") + "\x05",
		"the same name twice":  "\x01\x02" + text("a") + "\x05" + text("a") + "\x05",
		"no value":             attribute,
		"unknown kind":         attribute + "\x0b",
		"no kind":              attribute + "\x00",
		"string not UTF-8":     attribute + "\x01" + text("\xff"),
		"string cut short":     attribute + "\x01\x05ab",
		"number not a number":  attribute + "\x02" + text("x"),
		"number not canonical": attribute + "\x02" + text("01"),
		"neither true nor not": attribute + "\x04\x02",
		"list cut short":       attribute + "\x06\x02\x05",
		"empty set":            attribute + "\x08\x00",
		"set out of order":     attribute + "\x08\x02" + text("b") + text("a"),
		"set with duplicates":  attribute + "\x08\x02" + text("a") + text("a"),
		"set of odd numbers":   attribute + "\x09\x01" + text("01"),
		"too deep":             attribute + strings.Repeat("\x06\x01", MaxLevels) + "\x05",
	} {
		if it, err := DecodeStored([]byte(b)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, %v", name, it, err)
		}
		// A transcoder keeps no names, so it can't tell that one comes twice.
		if text, _, err := TranscodeStored(nil, []byte(b)); !errors.Is(err, ErrDamaged) && name != "the same name twice" {
			t.Errorf("%s, transcoded: %s, %v", name, text, err)
		}
	}
	if _, err := DecodeStored([]byte(attribute + strings.Repeat("\x06\x01", MaxLevels-1) + "\x05")); err != nil {
		t.Errorf("as deep as allowed: %v", err)
	}
}

func FuzzDecodeStored(f *testing.F) {
	it, err := ParseItem(everyKind)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendStored(nil, it))
	f.Add([]byte{storedVersion, 0})
	f.Add([]byte("\x01\x01\x00\x01\x010")) // a name without characters: the wire refuses it, an older store may hold it
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := DecodeStored(b)
		if err != nil {
			return
		}
		again, err := DecodeStored(AppendStored(nil, it))
		if err != nil || !EqualItems(it, again) {
			t.Errorf("%x: %v, then %v, %v", b, it, again, err)
		}
		if _, err := ParseItem(string(AppendItem(nil, it))); err != nil && soundNames(Map(it)) {
			t.Errorf("%x: the wire refuses %v: %v", b, it, err)
		}
	})
}

// soundNames tells whether the wire takes all names in v.
func soundNames(v Value) bool {
	for _, f := range v.Map() {
		if NameFlaw(f.Name) != "" || !soundNames(f.Value) {
			return false
		}
	}
	return !slices.ContainsFunc(v.List(), func(e Value) bool { return !soundNames(e) })
}
