package template

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ParseOverrides reads parameter values as the SAM CLI takes them:
// `Name=Value Other="two words"`, or `ParameterKey=Name,ParameterValue=Value`.
// Several arguments are read one after the other; the last value wins.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-cli-command-reference-sam-deploy.html
func ParseOverrides(args ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, arg := range args {
		words, err := splitWords(arg)
		if err != nil {
			return nil, err
		}
		for _, w := range words {
			name, value, ok := strings.Cut(w, "=")
			if key, long := strings.CutPrefix(w, "ParameterKey="); long {
				name, value, ok = strings.Cut(key, ",ParameterValue=")
			}
			if !ok || name == "" {
				return nil, fmt.Errorf("parameter override %q is not of the form Name=Value", w)
			}
			out[name] = value
		}
	}
	return out, nil
}

// splitWords splits at spaces outside quotes and takes the quotes off.
func splitWords(s string) ([]string, error) {
	var words []string
	var b strings.Builder
	inWord, quote := false, rune(0)
	escaped := false
	for _, r := range s {
		switch {
		case escaped:
			b.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if inWord {
				words = append(words, b.String())
				b.Reset()
				inWord = false
			}
		default:
			b.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("parameter overrides %q: a quote is not closed", s)
	}
	if inWord {
		words = append(words, b.String())
	}
	return words, nil
}

// parameters gives every parameter its value and checks it against its rules.
func parameters(declared *node, overrides map[string]string) (map[string]*node, error) {
	for name := range overrides {
		if declared.get(name).kind == absent {
			return nil, fmt.Errorf("the template has no parameter %s; it has %s", name, strings.Join(declared.keys, ", "))
		}
	}
	out := map[string]*node{}
	for _, name := range declared.keys {
		p := declared.fields[name]
		value, given := overrides[name]
		if !given {
			d := p.get("Default")
			if d.kind != scalar {
				return nil, fmt.Errorf("parameter %s has no default and no value: give it by -parameter-overrides %s=…", name, name)
			}
			value = d.text
		}
		v, err := parameterValue(p, value)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		out[name] = v
	}
	return out, nil
}

func parameterValue(p *node, value string) (*node, error) {
	typ := p.get("Type").text
	if strings.HasPrefix(typ, "AWS::SSM::") || typ == "" {
		return nil, fmt.Errorf("type %q is not supported on one machine", typ)
	}
	if typ != "CommaDelimitedList" && !strings.HasPrefix(typ, "List<") {
		return newScalar(value, p.line), checkParameter(p, typ, value)
	}
	out := &node{kind: list, line: p.line, text: value}
	for _, item := range strings.Split(value, ",") {
		item = strings.TrimSpace(item)
		if err := checkParameter(p, strings.TrimSuffix(strings.TrimPrefix(typ, "List<"), ">"), item); err != nil {
			return nil, err
		}
		out.items = append(out.items, newScalar(item, p.line))
	}
	return out, nil
}

// checkParameter holds a value against the parameter's own rules; its
// ConstraintDescription, where there is one, is the sentence that users read.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
func checkParameter(p *node, typ, value string) error {
	shown := strconv.Quote(value)
	if p.get("NoEcho").text == "true" {
		shown = "the value given"
	}
	rule := brokenRule(p, typ, value)
	if rule == "" {
		return nil
	}
	if d := p.get("ConstraintDescription"); d.kind == scalar {
		rule += " (" + d.text + ")"
	}
	return fmt.Errorf("%s %s", shown, rule)
}

func brokenRule(p *node, typ, value string) string {
	if typ == "Number" {
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return "is not a number"
		}
		if low, err := strconv.ParseFloat(p.get("MinValue").text, 64); err == nil && f < low {
			return "is less than " + p.get("MinValue").text
		}
		if high, err := strconv.ParseFloat(p.get("MaxValue").text, 64); err == nil && f > high {
			return "is more than " + p.get("MaxValue").text
		}
	}
	if low, err := strconv.Atoi(p.get("MinLength").text); err == nil && len(value) < low {
		return fmt.Sprintf("is shorter than %d", low)
	}
	if high, err := strconv.Atoi(p.get("MaxLength").text); err == nil && len(value) > high {
		return fmt.Sprintf("is longer than %d", high)
	}
	if allowed := p.get("AllowedValues"); allowed.kind == list {
		values, err := texts(allowed)
		if err == nil && !slices.Contains(values, value) {
			return "is none of " + strings.Join(values, ", ")
		}
	}
	if pattern := p.get("AllowedPattern"); pattern.kind == scalar {
		re, err := regexp.Compile(`^(?:` + pattern.text + `)$`)
		if err != nil {
			return "cannot be checked: AllowedPattern is not a pattern: " + err.Error()
		}
		if !re.MatchString(value) {
			return "does not match " + pattern.text
		}
	}
	return ""
}
