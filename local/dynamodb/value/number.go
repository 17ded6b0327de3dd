package value

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// The limits of numbers: 38 significant digits, magnitude 1E-130 to 9.99…E+125.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number
const (
	maxDigits   = 38
	maxExponent = 125
	minExponent = -130
)

const (
	textNotNumber = "The parameter cannot be converted to a numeric value"
	textOverflow  = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	textUnderflow = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
	textTooLong   = "Attempting to store more than 38 significant digits in a Number"
)

// Number is a decimal number that DynamoDB can hold; the zero Number is 0. It is kept as its canonical text (plain
// decimal notation without an exponent, leading or trailing zeros, or a point that nothing follows), which is what
// DynamoDB returns; so two numbers are equal if their texts are.
type Number struct{ text string }

// String gives the canonical text.
func (n Number) String() string {
	if n.text == "" {
		return "0"
	}
	return n.text
}

// IntNumber makes a Number of an integer.
func IntNumber(i int64) Number { return Number{strconv.FormatInt(i, 10)} }

// Cmp compares by value: -1, 0 or 1.
func (n Number) Cmp(m Number) int { return compareText(n.String(), m.String()) }

// Int64 gives the number as an integer; ok is false when it has a fraction or is out of range.
func (n Number) Int64() (i int64, ok bool) {
	i, err := strconv.ParseInt(n.String(), 10, 64)
	return i, err == nil
}

// ParseNumber reads a number as clients may write it (`1`, `-0.50`, `.5`, `1E+3`). The errors are ValidationExceptions
// with DynamoDB's texts.
func ParseNumber(s string) (Number, error) {
	n, err := parseNumber(s)
	if err != nil {
		return Number{}, err
	}
	return n, nil
}

func parseNumber(s string) (Number, *Error) {
	if isPlainInteger(s) {
		return Number{s}, nil
	}
	d, ok := scanDecimal(s)
	if !ok {
		if s == "" {
			return Number{}, Invalid(textNotNumber)
		}
		return Number{}, Invalid(textNotNumber + ": " + s)
	}
	return d.number()
}

// isPlainInteger tells whether s is canonical already: an integer of at most 38 digits. It is the fast path.
func isPlainInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if len(digits) == 0 || len(digits) > maxDigits {
		return false
	}
	if digits[0] == '0' {
		return s == "0"
	}
	return allDigits(digits)
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// decimal is ±d.ddd × 10^exponent; digits has neither leading nor trailing zeros and is empty for 0.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

func scanDecimal(s string) (decimal, bool) {
	var d decimal
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.negative = s[0] == '-'
		s = s[1:]
	}
	mantissa, power := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var ok bool
		if power, ok = scanPower(s[i+1:]); !ok {
			return d, false
		}
		mantissa = s[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return d, false
	}
	digits := whole + fraction
	significant := strings.TrimLeft(digits, "0")
	d.exponent = power + len(whole) - 1 - (len(digits) - len(significant))
	d.digits = strings.TrimRight(significant, "0")
	return d, true
}

// scanPower reads an exponent and holds it far outside of the range of numbers when it is huge.
func scanPower(s string) (int, bool) {
	const huge = 1 << 30
	digits := s
	if s != "" && (s[0] == '-' || s[0] == '+') {
		digits = s[1:]
	}
	if digits == "" || !allDigits(digits) {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > huge {
		n = huge
	}
	if s[0] == '-' {
		n = -n
	}
	return n, true
}

func (d decimal) number() (Number, *Error) {
	switch {
	case d.digits == "":
		return Number{"0"}, nil
	case d.exponent > maxExponent:
		return Number{}, Invalid(textOverflow)
	case d.exponent < minExponent:
		return Number{}, Invalid(textUnderflow)
	case len(d.digits) > maxDigits:
		return Number{}, Invalid(textTooLong)
	}
	return Number{d.text()}, nil
}

// text writes d in plain notation.
func (d decimal) text() string {
	var b strings.Builder
	if d.negative {
		b.WriteByte('-')
	}
	switch {
	case d.exponent < 0:
		b.WriteString("0.")
		writeZeros(&b, -d.exponent-1)
		b.WriteString(d.digits)
	case d.exponent+1 >= len(d.digits):
		b.WriteString(d.digits)
		writeZeros(&b, d.exponent+1-len(d.digits))
	default:
		b.WriteString(d.digits[:d.exponent+1])
		b.WriteByte('.')
		b.WriteString(d.digits[d.exponent+1:])
	}
	return b.String()
}

func writeZeros(b *strings.Builder, n int) {
	for range n {
		b.WriteByte('0')
	}
}

// compareText compares two canonical texts by value.
func compareText(a, b string) int {
	switch negA, negB := a[0] == '-', b[0] == '-'; {
	case negA && negB:
		return compareMagnitude(b[1:], a[1:])
	case negA:
		return -1
	case negB:
		return 1
	}
	return compareMagnitude(a, b)
}

func compareMagnitude(a, b string) int {
	wholeA, fractionA, _ := strings.Cut(a, ".")
	wholeB, fractionB, _ := strings.Cut(b, ".")
	if len(wholeA) != len(wholeB) {
		return cmpInt(len(wholeA), len(wholeB))
	}
	if order := strings.Compare(wholeA, wholeB); order != 0 {
		return order
	}
	return strings.Compare(fractionA, fractionB)
}

func cmpInt(a, b int) int {
	if a < b {
		return -1
	}
	return 1
}

// Add gives n + m, exactly, or an error when that is out of range or has more than 38 digits.
func (n Number) Add(m Number) (Number, error) { return n.combine(m, false) }

// Sub gives n - m, exactly, or an error when that is out of range or has more than 38 digits.
func (n Number) Sub(m Number) (Number, error) { return n.combine(m, true) }

// exactInt is small enough for the sum of two to stay an int64.
const exactInt = 1 << 62

func (n Number) combine(m Number, subtract bool) (Number, error) {
	i, okN := n.Int64()
	j, okM := m.Int64()
	if okN && okM && -exactInt < i && i < exactInt && -exactInt < j && j < exactInt {
		if subtract {
			j = -j
		}
		return IntNumber(i + j), nil
	}
	return n.combineDecimal(m, subtract)
}

// combineDecimal computes without rounding: apd's precision 0 is exact for sums.
func (n Number) combineDecimal(m Number, subtract bool) (Number, error) {
	var x, y, sum apd.Decimal
	if _, _, err := x.SetString(n.String()); err != nil {
		return Number{}, Invalid(textNotNumber + ": " + n.String())
	}
	if _, _, err := y.SetString(m.String()); err != nil {
		return Number{}, Invalid(textNotNumber + ": " + m.String())
	}
	if subtract {
		y.Neg(&y)
	}
	exact := apd.BaseContext.WithPrecision(0)
	if _, err := exact.Add(&sum, &x, &y); err != nil {
		return Number{}, Invalid(textOverflow)
	}
	result, flaw := parseNumber(sum.Text('f'))
	switch {
	case flaw == nil:
		return result, nil
	case flaw.Message == textTooLong:
		// Of a result AWS says this, though its magnitude is in range.
		return Number{}, Invalid(textOverflow)
	}
	return Number{}, flaw
}
