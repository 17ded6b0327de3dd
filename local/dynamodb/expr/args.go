package expr

import (
	"maps"
	"slices"
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Args are what a request gives for the placeholders of its expressions: ExpressionAttributeNames by `#name` and
// ExpressionAttributeValues by `:value`.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeNames.html
type Args struct {
	Names  map[string]string
	Values map[string]value.Value
}

// Usage names the placeholders that an expression mentions, each once, in the order of their first mention. The slices
// are the expression's own.
type Usage struct {
	Names  []string // with their #
	Values []string // with their :
}

// NewArgs checks a request's ExpressionAttributeNames and decodes its ExpressionAttributeValues, which are JSON; nil and "",
// or JSON null, mean that the request has none of them. The values share memory with the JSON.
func NewArgs(names map[string]string, values string) (Args, error) {
	a := Args{Names: names}
	if err := checkNames(names); err != nil {
		return Args{}, err
	}
	if values == "" {
		return a, nil
	}
	parsed, err := value.ParseEach(values)
	if err != nil {
		return Args{}, err
	}
	if parsed == nil {
		return a, nil
	}
	a.Values, err = checkValues(parsed)
	return a, err
}

func checkNames(names map[string]string) error {
	if names == nil {
		return nil
	}
	if len(names) == 0 {
		return value.Invalid("ExpressionAttributeNames must not be empty")
	}
	for _, key := range slices.Sorted(maps.Keys(names)) {
		if !isPlaceholder(key, '#') {
			return value.Invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: \"" + key + "\"")
		}
		if names[key] == "" {
			return value.Invalid("ExpressionAttributeNames contains invalid value: Empty attribute name for key " + key)
		}
	}
	return nil
}

// checkValues reports keys first and then values, each in the order of the keys.
func checkValues(parsed map[string]value.Parsed) (map[string]value.Value, error) {
	if len(parsed) == 0 {
		return nil, value.Invalid("ExpressionAttributeValues must not be empty")
	}
	values := make(map[string]value.Value, len(parsed))
	wrong := false
	for key, p := range parsed {
		values[key] = p.Value
		wrong = wrong || p.Err != nil || !isPlaceholder(key, ':')
	}
	if !wrong {
		return values, nil
	}
	keys := slices.Sorted(maps.Keys(parsed))
	for _, key := range keys {
		if !isPlaceholder(key, ':') {
			return nil, value.Invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: \"" + key + "\"")
		}
	}
	for _, key := range keys {
		if err := parsed[key].Err; err != nil {
			return nil, value.Invalid("ExpressionAttributeValues contains invalid value: " + err.Message + " for key " + key)
		}
	}
	return values, nil
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

func unused[V any](given map[string]V, used []Usage, list func(Usage) []string) []string {
	var left []string
	for key := range given {
		mentioned := slices.ContainsFunc(used, func(u Usage) bool { return slices.Contains(list(u), key) })
		if !mentioned {
			left = append(left, key)
		}
	}
	slices.Sort(left)
	return left
}
