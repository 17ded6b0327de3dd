package expr

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Args are what a request gives for the placeholders of its expressions: ExpressionAttributeNames by `#name` and
// ExpressionAttributeValues by `:value`.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeNames.html
type Args struct {
	Names  value.Item // each an S
	Values value.Item
}

// Usage names the placeholders that an expression mentions, each once, in the order of their first mention. The slices
// are the expression's own.
type Usage struct {
	Names  []string // with their #
	Values []string // with their :
}

// NewArgs checks a request's ExpressionAttributeNames (each an S) and decodes its ExpressionAttributeValues, which are JSON;
// nil and "", or JSON null, mean that the request has none of them. The values share memory with the JSON.
func NewArgs(names value.Item, values string) (Args, error) {
	if err := checkNames(names); err != nil {
		return Args{}, err
	}
	a := Args{Names: names}
	if values == "" {
		return a, nil
	}
	parsed, faults, err := value.ParseEach(values)
	if err != nil {
		return Args{}, err
	}
	a.Values = parsed
	return a, checkValues(parsed, faults)
}

// Limits of placeholders and of what they stand for, in bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const (
	maxPlaceholder = 255
	maxValues      = 2 << 20
)

func checkNames(names value.Item) error {
	if names == nil {
		return nil
	}
	if len(names) == 0 {
		return value.Invalid("ExpressionAttributeNames must not be empty")
	}
	for _, f := range names {
		if !isPlaceholder(f.Name, '#') {
			return value.Invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: \"" + f.Name + "\"")
		}
		if len(f.Name) > maxPlaceholder {
			return value.Invalid("ExpressionAttributeNames" + tooLong(f.Name))
		}
		if flaw := value.NameFlaw(f.Value.Text()); flaw != "" {
			return value.Invalid("ExpressionAttributeNames contains invalid value: " + flaw + " for key " + f.Name)
		}
	}
	return nil
}

// checkValues reports keys first and then values, each in the order of the keys.
func checkValues(values value.Item, faults map[string]*value.Error) error {
	if values == nil {
		return nil
	}
	if len(values) == 0 {
		return value.Invalid("ExpressionAttributeValues must not be empty")
	}
	if value.Size(values) > maxValues {
		return value.Invalid("ExpressionAttributeValues exceeds max size")
	}
	for _, f := range values {
		if !isPlaceholder(f.Name, ':') {
			return value.Invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: \"" + f.Name + "\"")
		}
		if len(f.Name) > maxPlaceholder {
			return value.Invalid("ExpressionAttributeValues" + tooLong(f.Name))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	for _, f := range values {
		if err := faults[f.Name]; err != nil {
			return value.Invalid("ExpressionAttributeValues contains invalid value: " + err.Message + " for key " + f.Name)
		}
	}
	return nil
}

func tooLong(key string) string {
	return " contains invalid key: The expression attribute map contains a key that is too long; size of key: " + strconv.Itoa(len(key))
}

// isPlaceholder tells whether key is the mark and then letters, digits and _.
func isPlaceholder(key string, mark byte) bool {
	return len(key) > 1 && key[0] == mark && wordEnd(key, 1) == len(key)
}

// Unused refuses placeholders that none of the request's expressions mention.
func (a Args) Unused(used ...Usage) error {
	names := unused(a.Names, used, func(u Usage) []string { return u.Names })
	if names != nil {
		return value.Invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {" + strings.Join(names, ", ") + "}")
	}
	values := unused(a.Values, used, func(u Usage) []string { return u.Values })
	if values != nil {
		return value.Invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {" + strings.Join(values, ", ") + "}")
	}
	return nil
}

// unused gives the placeholders that are not in the lists, in order.
func unused(given value.Item, used []Usage, list func(Usage) []string) []string {
	var left []string
	for _, f := range given {
		mentioned := slices.ContainsFunc(used, func(u Usage) bool { return slices.Contains(list(u), f.Name) })
		if !mentioned {
			left = append(left, f.Name)
		}
	}
	return left
}
