package dynamodb

import (
	"fmt"
	"slices"
	"strings"
)

// constraints collects what is wrong with the parameters of a request by
// themselves; AWS reports all of it in one error.
type constraints struct{ found []string }

func (c *constraints) add(shown, at, rule string) {
	c.found = append(c.found, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", shown, at, rule))
}

func (c *constraints) err() error {
	switch n := len(c.found); n {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: %s", c.found[0])
	default:
		return invalid("%d validation errors detected: %s", n, strings.Join(c.found, "; "))
	}
}

func quoted(s string) string { return "'" + s + "'" }

// enum wants v to be one of the values; an empty v was not given.
func (c *constraints) enum(v, at string, values ...string) {
	if v != "" && !slices.Contains(values, v) {
		c.add(quoted(v), at, "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
	}
}

func (c *constraints) consumedCapacity(v string) {
	c.enum(v, "returnConsumedCapacity", "INDEXES", "TOTAL", "NONE")
}

func (c *constraints) present(there bool, at string) {
	if !there {
		c.add("null", at, "Member must not be null")
	}
}

func (c *constraints) length(n int, shown, at string, least, most int) {
	switch {
	case n < least:
		c.add(shown, at, fmt.Sprintf("Member must have length greater than or equal to %d", least))
	case n > most:
		c.add(shown, at, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
}

// nameCharacters are those of [a-zA-Z0-9_.-]; each request names a table, so this is no regular expression.
const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

// minName is how short a table's name may be.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
const minName = 3

// name wants a table's or an index's name; least is its least length.
func (c *constraints) name(v *string, at string, least int) {
	if v == nil {
		c.present(false, at)
		return
	}
	if n := len(*v); n < least || n > 255 {
		c.length(n, quoted(*v), at, least, 255)
	}
	if *v != "" && strings.Trim(*v, nameCharacters) != "" {
		c.add(quoted(*v), at, "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	}
}

// tableName wants the name of a table that a request works on. Anything wrong
// with it is reported alone. An ARN of one of our tables is taken for its name.
func tableName(v *string) (string, error) {
	if v != nil {
		if _, name, ok := strings.Cut(*v, ":table/"); ok && strings.HasPrefix(*v, "arn:") {
			return name, nil
		}
	}
	var c constraints
	c.name(v, "tableName", 1)
	if err := c.err(); err != nil {
		return "", err
	}
	if len(*v) < minName {
		return "", invalid("Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	return *v, nil
}
