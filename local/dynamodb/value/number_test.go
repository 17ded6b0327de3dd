package value

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseNumber(t *testing.T) {
	t.Parallel()
	ones := strings.Repeat("1", 38)
	for _, c := range []struct{ in, want string }{
		{"0", "0"}, {"-0", "0"}, {"0.0", "0"}, {"0E500", "0"}, {"000", "0"}, {"-0.00E-999999999999999999999", "0"},
		{"1", "1"}, {"-1", "-1"}, {"+5", "5"}, {"007", "7"}, {"0042.1200", "42.12"}, {"100", "100"},
		{".5", "0.5"}, {"5.", "5"}, {"-.5", "-0.5"}, {"1e5", "100000"}, {"1.5E+3", "1500"}, {"15e-1", "1.5"}, {"1e-3", "0.001"},
		{"1." + strings.Repeat("0", 50), "1"},
		{ones, ones}, {"-" + ones, "-" + ones}, {ones + "000", ones + "000"}, {ones + ".000", ones},
		{"1E125", "1" + strings.Repeat("0", 125)},
		{"9.9999999999999999999999999999999999999E+125", strings.Repeat("9", 38) + strings.Repeat("0", 88)},
		{"1E-130", "0." + strings.Repeat("0", 129) + "1"},
		{"9223372036854775808", "9223372036854775808"},
	} {
		n, err := ParseNumber(c.in)
		if err != nil || n.String() != c.want {
			t.Errorf("ParseNumber(%q) = %s, %v; want %s", c.in, n, err, c.want)
		}
	}
}

func TestParseNumberRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", textNotNumber},
		{"x", textNotNumber + ": x"}, {" 5", textNotNumber + ":  5"}, {"0x1", textNotNumber + ": 0x1"},
		{"NaN", textNotNumber + ": NaN"}, {"Infinity", textNotNumber + ": Infinity"}, {"1_0", textNotNumber + ": 1_0"},
		{".", textNotNumber + ": ."}, {"-", textNotNumber + ": -"}, {"1e", textNotNumber + ": 1e"}, {"1e+", textNotNumber + ": 1e+"},
		{"1.2.3", textNotNumber + ": 1.2.3"}, {"--1", textNotNumber + ": --1"}, {"e5", textNotNumber + ": e5"}, {"٣", textNotNumber + ": ٣"},
		{"1E126", textOverflow}, {"-1E126", textOverflow}, {"1E99999999999999999999", textOverflow}, {strings.Repeat("1", 127), textOverflow},
		{"1E-131", textUnderflow}, {"1E-99999999999999999999", textUnderflow},
		{strings.Repeat("1", 39), textTooLong}, {"1." + strings.Repeat("0", 37) + "1", textTooLong},
	} {
		_, err := ParseNumber(c.in)
		if err == nil || err.Error() != CodeValidation+": "+c.want {
			t.Errorf("ParseNumber(%q): %v; want %s", c.in, err, c.want)
		}
	}
}

func TestArithmetic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, sum, difference string }{
		{"1", "2", "3", "-1"},
		{"0.1", "0.2", "0.3", "-0.1"},
		{"9223372036854775807", "1", "9223372036854775808", "9223372036854775806"},
		{"-9223372036854775808", "9223372036854775808", "0", "-18446744073709551616"},
		{"1E125", "1E125", "2" + strings.Repeat("0", 125), "0"},
		{strings.Repeat("9", 38), "1", "1" + strings.Repeat("0", 38), strings.Repeat("9", 37) + "8"},
	} {
		a, b := mustNumber(t, c.a), mustNumber(t, c.b)
		if sum, err := a.Add(b); err != nil || sum.String() != c.sum {
			t.Errorf("%s + %s = %s, %v; want %s", c.a, c.b, sum, err, c.sum)
		}
		if difference, err := a.Sub(b); err != nil || difference.String() != c.difference {
			t.Errorf("%s - %s = %s, %v; want %s", c.a, c.b, difference, err, c.difference)
		}
	}
}

func TestArithmeticRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want string }{
		{"9E125", "9E125", textOverflow},
		{"-9E125", "-1E125", textOverflow},
		{"1E125", "1", textOverflow},
		{strings.Repeat("1", 38), "0.1", textOverflow},
		{"1.1E-129", "-1.1E-129", ""},
		{"1.2E-129", "-1.1E-129", ""},
	} {
		_, err := mustNumber(t, c.a).Add(mustNumber(t, c.b))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("%s + %s: %v; want %q", c.a, c.b, err, c.want)
		}
	}
}

func mustNumber(t testing.TB, s string) Number {
	t.Helper()
	n, err := ParseNumber(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rat(t *rapid.T, n Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		t.Fatalf("%s is no number", n)
	}
	return r
}

// Numbers behave as the rationals that their texts stand for.
func TestNumberModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := genNumber().Draw(t, "a"), genNumber().Draw(t, "b")
		ratA, ratB := rat(t, a), rat(t, b)
		if got, want := a.Cmp(b), ratA.Cmp(ratB); got != want {
			t.Fatalf("%s.Cmp(%s) = %d; want %d", a, b, got, want)
		}
		if again, err := ParseNumber(a.String()); err != nil || again.String() != a.String() {
			t.Fatalf("%s is not canonical: %s, %v", a, again, err)
		}
		sum, err := a.Add(b)
		if want := new(big.Rat).Add(ratA, ratB); err == nil && rat(t, sum).Cmp(want) != 0 {
			t.Fatalf("%s + %s = %s", a, b, sum)
		}
		difference, err := a.Sub(b)
		if want := new(big.Rat).Sub(ratA, ratB); err == nil && rat(t, difference).Cmp(want) != 0 {
			t.Fatalf("%s - %s = %s", a, b, difference)
		}
	})
}

func TestInt64(t *testing.T) {
	t.Parallel()
	if i, ok := IntNumber(-42).Int64(); !ok || i != -42 {
		t.Errorf("Int64 = %d, %t", i, ok)
	}
	for _, s := range []string{"1.5", "9223372036854775808"} {
		if i, ok := mustNumber(t, s).Int64(); ok {
			t.Errorf("%s.Int64() = %d", s, i)
		}
	}
}
