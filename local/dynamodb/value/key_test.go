package value

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func key(v Value) []byte { return AppendKey(nil, v) }

func TestKeyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{S, N, B}).Draw(t, "kind")
		a, b := genScalar(kind).Draw(t, "a"), genScalar(kind).Draw(t, "b")
		want, _ := Compare(a, b)
		if got := bytes.Compare(key(a), key(b)); got != want {
			t.Fatalf("keys of %v and %v compare as %d; want %d", a, b, got, want)
		}
		if want == 0 != Equal(a, b) {
			t.Fatalf("Compare and Equal of %v and %v disagree", a, b)
		}
	})
}

func TestKeyOfNeighbours(t *testing.T) {
	t.Parallel()
	ordered := []string{
		"-9.9999999999999999999999999999999999999E125", "-1E125", "-12.5", "-12.4", "-12", "-2", "-1.01", "-1", "-0.9", "-1E-130",
		"0", "1E-130", "1.1E-130", "0.09", "0.1", "0.11", "1", "1.01", "2", "9", "10", "11", "99", "100", "100.5", "101",
		"99999999999999999999999999999999999998", "99999999999999999999999999999999999999", "1E125", "9.9999999999999999999999999999999999999E125",
	}
	for i := 1; i < len(ordered); i++ {
		a, b := Numeric(mustNumber(t, ordered[i-1])), Numeric(mustNumber(t, ordered[i]))
		if bytes.Compare(key(a), key(b)) >= 0 {
			t.Errorf("%s does not sort before %s", ordered[i-1], ordered[i])
		}
	}
}

// A partition key and the sort key after it come apart again, sort by the first and then by the second, and no pair begins
// with another pair's bytes.
func TestKeyPairs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kinds := []Kind{rapid.SampledFrom([]Kind{S, N, B}).Draw(t, "k1"), rapid.SampledFrom([]Kind{S, N, B}).Draw(t, "k2")}
		a := [2]Value{genScalar(kinds[0]).Draw(t, "a1"), genScalar(kinds[1]).Draw(t, "a2")}
		b := [2]Value{genScalar(kinds[0]).Draw(t, "b1"), genScalar(kinds[1]).Draw(t, "b2")}
		keyA, keyB := AppendKey(key(a[0]), a[1]), AppendKey(key(b[0]), b[1])
		want, _ := Compare(a[0], b[0])
		if want == 0 {
			want, _ = Compare(a[1], b[1])
		}
		if got := bytes.Compare(keyA, keyB); got != want {
			t.Fatalf("pairs %v and %v compare as %d; want %d", a, b, got, want)
		}
		if want != 0 && bytes.HasPrefix(keyA, keyB) {
			t.Fatalf("the key of %v begins with that of %v", a, b)
		}
		first, rest, err := DecodeKey(keyA)
		if err != nil || !Equal(first, a[0]) {
			t.Fatalf("DecodeKey = %v, %v; want %v", first, err, a[0])
		}
		second, rest, err := DecodeKey(rest)
		if err != nil || len(rest) > 0 || !Equal(second, a[1]) {
			t.Fatalf("DecodeKey = %v, %x, %v; want %v", second, rest, err, a[1])
		}
	})
}

func TestKeyPrefix(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{S, B}).Draw(t, "kind")
		whole, part := genScalar(kind).Draw(t, "whole"), genScalar(kind).Draw(t, "part")
		if rapid.Bool().Draw(t, "cut") {
			part = Value{kind: kind, text: whole.text[:rapid.IntRange(0, len(whole.text)).Draw(t, "at")]}
		}
		want := strings.HasPrefix(whole.text, part.text)
		if got := bytes.HasPrefix(key(whole), AppendKeyPrefix(nil, part)); got != want {
			t.Fatalf("key of %q begins with the prefix of %q: %t", whole.text, part.text, got)
		}
	})
}

func TestDecodeKeyDamage(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{
		nil, {0x99}, {tagS}, {tagS, 'a'}, {tagS, 'a', 0}, {tagS, 'a', 0, 7}, {tagS, 0xff, 0, terminator},
		{tagPositive}, {tagPositive, 130}, {tagPositive, 130, 0}, {tagPositive, 130, 101, 0}, {tagPositive, 130, 1, 2, 0}, {tagPositive, 130, 2, 1, 0},
		append(bytes.Repeat([]byte{2}, 30), 0),
	} {
		if v, _, err := DecodeKey(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("DecodeKey(%x) = %v, %v", b, v, err)
		}
	}
}

func FuzzDecodeKey(f *testing.F) {
	for _, v := range []Value{String("a\x00b"), Int(-12), Int(0), Binary([]byte{0, 1})} {
		f.Add(key(v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := DecodeKey(b)
		if err != nil {
			return
		}
		if again := append(key(v), rest...); !bytes.Equal(again, b) {
			t.Errorf("DecodeKey(%x) = %v, whose key is %x", b, v, again)
		}
	})
}
