package value

import "strings"

// Size gives the bytes that DynamoDB counts for an item, by which it limits items (400 KB) and counts capacity units:
// names and values both, in UTF-8.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func Size(it Item) int {
	size := 0
	for _, f := range it {
		size += len(f.Name) + f.Value.Size()
	}
	return size
}

// Size gives the bytes that DynamoDB counts for a value, without its name: the length of strings and bytes; 1 byte for
// each two digits of a number and 1 more; 1 for BOOL and NULL; 3 for a list or map and 1 for each of its elements.
func (v Value) Size() int {
	switch v.kind {
	case S, B:
		return len(v.text)
	case N:
		return numberSize(v.text)
	case BOOL, NULL:
		return 1
	case L:
		size := 3
		for _, e := range v.compound.list {
			size += 1 + e.Size()
		}
		return size
	case M:
		return 3 + len(v.compound.fields) + Size(v.compound.fields)
	case NS:
		return sumSizes(v.compound.members, numberSize)
	case SS, BS:
		return sumSizes(v.compound.members, func(s string) int { return len(s) })
	}
	return 0
}

func sumSizes(members []string, size func(string) int) int {
	sum := 0
	for _, m := range members {
		sum += size(m)
	}
	return sum
}

// numberSize counts a number's digits in pairs that are aligned with its point, without leading and trailing zeros
// (100 is one pair, 1.5 are two), 1 byte for the exponent and 1 for a minus sign. AWS's page calls it an approximation;
// the alignment is what its service was seen to charge.
func numberSize(text string) int {
	if text == "0" {
		return 1
	}
	size := 1
	if text[0] == '-' {
		size++
		text = text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	first, last := digitSpan(whole, fraction)
	return size + floorHalf(first) - floorHalf(last) + 1
}

// digitSpan gives the powers of ten of the first and the last digit that is not 0.
func digitSpan(whole, fraction string) (first, last int) {
	if whole != "0" {
		first = len(whole) - 1
	} else {
		first = -1 - (len(fraction) - len(strings.TrimLeft(fraction, "0")))
	}
	if fraction != "" {
		return first, -len(fraction)
	}
	return first, len(whole) - len(strings.TrimRight(whole, "0"))
}

func floorHalf(n int) int { return n >> 1 }
