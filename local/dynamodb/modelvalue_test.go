package dynamodb

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Values of the model that random sequences are held against: string, int, bool,
// nil, and these. A value in use is not changed: a change makes a copy.
type (
	vBin  string
	vList []any
	vMap  map[string]any
	vNums []int    // a set, sorted
	vStrs []string // a set, sorted
)

func kindName(v any) string {
	switch v.(type) {
	case string:
		return "S"
	case int:
		return "N"
	case vBin:
		return "B"
	case bool:
		return "BOOL"
	case nil:
		return "NULL"
	case vList:
		return "L"
	case vMap:
		return "M"
	case vNums:
		return "NS"
	case vStrs:
		return "SS"
	}
	panic(fmt.Sprintf("no value: %T", v))
}

// toAWS turns a value into the SDK's.
func toAWS(v any) types.AttributeValue {
	switch v := v.(type) {
	case string:
		return str(v)
	case int:
		return num(strconv.Itoa(v))
	case vBin:
		return &types.AttributeValueMemberB{Value: []byte(v)}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}
	case vList:
		l := &types.AttributeValueMemberL{}
		for _, e := range v {
			l.Value = append(l.Value, toAWS(e))
		}
		return l
	case vMap:
		return &types.AttributeValueMemberM{Value: toAWSItem(v)}
	case vNums:
		set := &types.AttributeValueMemberNS{}
		for _, n := range v {
			set.Value = append(set.Value, strconv.Itoa(n))
		}
		return set
	case vStrs:
		return &types.AttributeValueMemberSS{Value: v}
	}
	return &types.AttributeValueMemberNULL{Value: true}
}

func toAWSItem(m vMap) item {
	it := make(item, len(m))
	for name, v := range m {
		it[name] = toAWS(v)
	}
	return it
}

// fromAWS is the reverse; what the model has no value for becomes a text that
// equals none of its.
func fromAWS(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return fromNumber(v.Value)
	case *types.AttributeValueMemberB:
		return vBin(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberNULL:
		return nil
	case *types.AttributeValueMemberL:
		l := make(vList, len(v.Value))
		for i, e := range v.Value {
			l[i] = fromAWS(e)
		}
		return l
	case *types.AttributeValueMemberM:
		return fromAWSItem(v.Value)
	case *types.AttributeValueMemberNS:
		set := make(vNums, len(v.Value))
		for i, n := range v.Value {
			set[i], _ = strconv.Atoi(n)
		}
		slices.Sort(set)
		return set
	case *types.AttributeValueMemberSS:
		return vStrs(slices.Sorted(slices.Values(v.Value)))
	}
	return fmt.Sprintf("unknown %T", v)
}

func fromNumber(s string) any {
	n, err := strconv.Atoi(s)
	if err != nil {
		return "not an integer: " + s
	}
	return n
}

func fromAWSItem(it item) vMap {
	m := make(vMap, len(it))
	for name, v := range it {
		m[name] = fromAWS(v)
	}
	return m
}

// shownValue writes a value so that equal ones, and only those, read the same.
func shownValue(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case int:
		return strconv.Itoa(v)
	case vBin:
		return "0x" + hex.EncodeToString([]byte(v))
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	case vList:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = shownValue(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case vMap:
		parts := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, name+":"+shownValue(v[name]))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case vNums:
		return fmt.Sprint("<", []int(v), ">")
	case vStrs:
		return fmt.Sprintf("<%q>", []string(v))
	}
	panic(fmt.Sprintf("no value: %T", v))
}

// shownItem is "none" for no item.
func shownItem(m vMap) string {
	if m == nil {
		return "none"
	}
	return shownValue(m)
}

func shownItems(items []vMap) string {
	parts := make([]string, len(items))
	for i, m := range items {
		parts[i] = shownValue(m)
	}
	return strings.Join(parts, ", ")
}

func equalValues(a, b any) bool { return shownValue(a) == shownValue(b) }

// less orders two values of one scalar kind; ok is false for others.
func less(a, b any) (is, ok bool) {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return a < b, ok
	case int:
		b, ok := b.(int)
		return a < b, ok
	case vBin:
		b, ok := b.(vBin)
		return a < b, ok
	}
	return false, false
}
