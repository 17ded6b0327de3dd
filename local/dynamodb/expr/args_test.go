package expr

import (
	"errors"
	"testing"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

func TestNewArgs(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "null"} {
		if a, err := NewArgs(nil, raw); err != nil || a.Names != nil || a.Values != nil {
			t.Errorf("NewArgs of nothing = %v, %v", a, err)
		}
	}
	a, err := NewArgs(namesOf(map[string]string{"#1_a": "x.y"}), `{":_":{"S":"v"},":1":{"NULL":true}}`)
	if err != nil || a.Names.Get("#1_a").Text() != "x.y" || a.Values.Get(":_").Text() != "v" || a.Values.Get(":1").Kind() != value.NULL {
		t.Errorf("NewArgs = %v, %v", a, err)
	}
}

func TestNewArgsFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names        map[string]string
		values, want string
	}{
		{map[string]string{}, ``, "ExpressionAttributeNames must not be empty"},
		{map[string]string{"a": "a"}, ``, `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{map[string]string{"#": "a"}, ``, `ExpressionAttributeNames contains invalid key: Syntax error; key: "#"`},
		{map[string]string{"#a-b": "a"}, ``, `ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"`},
		{map[string]string{"#a": ""}, ``, "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a"},
		{nil, `{}`, "ExpressionAttributeValues must not be empty"},
		{nil, `{"v":{"S":"a"}}`, `ExpressionAttributeValues contains invalid key: Syntax error; key: "v"`},
		{nil, `{":v":{"N":"x"},"w":{"S":"a"}}`, `ExpressionAttributeValues contains invalid key: Syntax error; key: "w"`},
		{nil, `{":v":{}}`, "ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :v"},
		{nil, `{":b":{"N":"x"},":a":{"SS":[]}}`, "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: An string set  may not be empty for key :a"},
	} {
		if _, err := NewArgs(namesOf(c.names), c.values); message(t, err) != c.want {
			t.Errorf("%v, %s: %v; want %s", c.names, c.values, err, c.want)
		}
	}
	_, err := NewArgs(nil, `{":a":{"S":5}}`)
	var e *value.Error
	if !errors.As(err, &e) || e.Code != value.CodeSerialization {
		t.Errorf("a wrong shape: %v", err)
	}
}

func TestUnused(t *testing.T) {
	t.Parallel()
	a := Args{Names: namesOf(map[string]string{"#a": "a", "#b": "b"}), Values: value.Item{{Name: ":v", Value: value.Int(1)}, {Name: ":w", Value: value.Int(2)}}}
	one, two := Usage{Names: []string{"#a"}, Values: []string{":v"}}, Usage{Names: []string{"#b"}, Values: []string{":w"}}
	for _, c := range []struct {
		used []Usage
		want string
	}{
		{[]Usage{one, two}, ""},
		{nil, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}"},
		{[]Usage{one}, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"},
		{[]Usage{one, {Names: []string{"#b"}}}, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"},
	} {
		if err := a.Unused(c.used...); message(t, err) != c.want {
			t.Errorf("Unused(%v): %v", c.used, err)
		}
	}
}
