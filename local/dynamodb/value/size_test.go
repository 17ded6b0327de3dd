package value

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumberSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"0":                                      1,
		"-0":                                     1,
		"1":                                      2,
		"12":                                     2,
		"123":                                    3,
		"1234":                                   3,
		"12345678901234567890123456789012345678": 20,
		"0042":                                   2,
		"100":                                    2,
		"1010":                                   3,
		"0.0000001":                              2,
		"1E125":                                  2,
		"1E-100":                                 2,
		"1.5":                                    3,
		"15":                                     2,
		"1.2":                                    3,
		"1.200":                                  3,
		"1.234":                                  4,
		"3.14159":                                5,
		"123456":                                 4,
		"100.5":                                  4,
		"0.15":                                   2,
		"-42":                                    3,
	} {
		if got := Numeric(mustNumber(t, text)).Size(); got != want {
			t.Errorf("size of %s = %d; want %d", text, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		json string
		want int
	}{
		{`{"S":""}`, 0}, {`{"S":"häß"}`, 5}, {`{"B":"AAEC"}`, 3}, {`{"BOOL":false}`, 1}, {`{"NULL":true}`, 1},
		{`{"L":[]}`, 3}, {`{"L":[{"S":"ab"},{"N":"12"}]}`, 3 + 1 + 2 + 1 + 2},
		{`{"M":{}}`, 3}, {`{"M":{"key":{"S":"ab"}}}`, 3 + 1 + 3 + 2},
		{`{"SS":["a","bc"]}`, 3}, {`{"NS":["1","123"]}`, 5}, {`{"BS":["AAEC"]}`, 3},
	} {
		v, err := ParseValue(c.json)
		if err != nil || v.Size() != c.want {
			t.Errorf("size of %s = %d, %v; want %d", c.json, v.Size(), err, c.want)
		}
	}
	it := Item{{"naïve", Int(7)}, {"pk", String("x")}}
	if got, want := Size(it), 2+1+6+2; got != want {
		t.Errorf("Size = %d; want %d", got, want)
	}
}

// A number is never charged more than a byte for two digits, one for the exponent, one for a sign, and one where its point
// parts a pair of digits.
func TestNumberSizeBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := genNumber().Draw(t, "n")
		text := strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(n.String()), "0")
		low := (len(text)+1)/2 + 1
		if got := Numeric(n).Size(); got < low || got > low+2 {
			t.Fatalf("size of %s = %d; at least %d", n, got, low)
		}
	})
}
