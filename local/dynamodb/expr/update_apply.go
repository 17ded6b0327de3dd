package expr

import (
	"maps"
	"slices"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Apply gives the item after the update. Every right-hand side sees old, which stays as it is and shares with the new item
// what was not touched. For an item that does not exist yet old is its key (`SET a = pk` sees it). Check must have passed with a. The errors
// are ValidationExceptions for what does not fit the item: attributes that are missing or of the wrong type, paths that
// lead nowhere, numbers out of range.
func (u *Update) Apply(old value.Item, a Args) (value.Item, error) {
	edits := slices.Grow(make([]edit, 0, likelyPaths), len(u.actions))[:len(u.actions)]
	steps := appendAll(make([][]step, 0, likelyPaths), make([]step, 0, likelyPaths), u.paths, a)
	for i, act := range slices.Backward(u.actions) {
		e := edit{verb: act.verb, steps: steps[i], operand: a.Values.Get(act.value)}
		if act.verb == set {
			if err := checkParent(old, e.steps); err != nil {
				return nil, err
			}
			var err error
			if e.operand, err = act.source.eval(evaluator{item: old, args: a}); err != nil {
				return nil, err
			}
		}
		edits[i] = e
	}
	return editFields(old, edits, 0)
}

// checkParent demands that what the last step of a path stands in be there. It is checked before the right-hand side of
// the SET, as AWS does; editValue would find it too, but later.
func checkParent(item value.Item, steps []step) error {
	last := len(steps) - 1
	if last == 0 {
		return nil
	}
	parent := descend(item.Get(steps[0].name), steps[1:last])
	if steps[last].isIndex() && parent.Kind() == value.L || !steps[last].isIndex() && parent.Kind() == value.M {
		return nil
	}
	return errUpdatePath
}

// eval computes the right-hand side of a SET.
func (s source) eval(e evaluator) (value.Value, error) {
	if s.operator == "" {
		return e.source(s.operands[0])
	}
	first, err := e.sourceOf(value.N, s.operands[0])
	if err != nil {
		return value.Value{}, err
	}
	second, err := e.sourceOf(value.N, s.operands[1])
	if err != nil {
		return value.Value{}, err
	}
	compute := value.Number.Add
	if s.operator == "-" {
		compute = value.Number.Sub
	}
	result, err := compute(first.Number(), second.Number())
	if err != nil {
		return value.Value{}, err
	}
	return value.Numeric(result), nil
}

// sourceOf demands besides that the operand be of a kind.
func (e evaluator) sourceOf(kind value.Kind, o operand) (value.Value, error) {
	v, err := e.source(o)
	if err == nil && v.Kind() != kind {
		err = errOperandType
	}
	return v, err
}

// source gives the value of an operand of SET, which must exist.
func (e evaluator) source(o operand) (value.Value, error) {
	if o.call != nil {
		return e.updateCall(o.call)
	}
	v := e.operand(o)
	if v.IsZero() {
		return v, errNoAttribute
	}
	return v, nil
}

func (e evaluator) updateCall(c *call) (value.Value, error) {
	if c.name == "if_not_exists" {
		// The second operand must exist even where the first does: so says AWS's DynamoDB Local.
		other, err := e.source(c.args[1])
		if v := e.operand(c.args[0]); err == nil && !v.IsZero() {
			return v, nil
		}
		return other, err
	}
	head, err := e.sourceOf(value.L, c.args[0])
	if err != nil {
		return value.Value{}, err
	}
	tail, err := e.sourceOf(value.L, c.args[1])
	if err != nil {
		return value.Value{}, err
	}
	return value.List(slices.Concat(head.List(), tail.List())), nil
}

// edit is an action with its placeholders resolved.
type edit struct {
	verb    verb
	steps   []step
	operand value.Value // what to set, add or delete
}

// editFields applies the edits to a map, whose own path has depth steps, and gives the changed copy.
func editFields(fields value.Item, edits []edit, depth int) (value.Item, error) {
	changed := make([]value.Field, 0, likelyPaths)
	for i := range edits {
		group := groupOf(edits, i, depth)
		if group == nil {
			continue
		}
		s := group[0].steps[depth]
		if s.isIndex() {
			return nil, errUpdatePath
		}
		v, err := editValue(fields.Get(s.name), group, depth+1)
		if err != nil {
			return nil, err
		}
		changed = append(changed, value.Field{Name: s.name, Value: v})
	}
	return fields.With(changed), nil
}

// editList is editFields for a list. Indexes are those of the list before the update; new elements go to its end, in the
// order of their indexes.
func editList(list []value.Value, edits []edit, depth int) ([]value.Value, error) {
	result := slices.Clone(list)
	added := map[int]value.Value{}
	for i := range edits {
		group := groupOf(edits, i, depth)
		if group == nil {
			continue
		}
		s := group[0].steps[depth]
		if !s.isIndex() {
			return nil, errUpdatePath
		}
		var old value.Value
		if s.index < len(list) {
			old = list[s.index]
		}
		v, err := editValue(old, group, depth+1)
		if err != nil {
			return nil, err
		}
		if s.index < len(list) {
			result[s.index] = v
		} else {
			added[s.index] = v
		}
	}
	for _, index := range slices.Sorted(maps.Keys(added)) {
		result = append(result, added[index])
	}
	return slices.DeleteFunc(result, value.Value.IsZero), nil
}

// groupOf gives the edits that have the step of number i in common at the depth; nil if one before it has that too, which
// is in whose group they are.
func groupOf(edits []edit, i, depth int) []edit {
	s := edits[i].steps[depth]
	same := func(e edit) bool { return e.steps[depth] == s }
	if slices.ContainsFunc(edits[:i], same) {
		return nil
	}
	group := edits[i : i+1 : i+1]
	for _, other := range edits[i+1:] {
		if same(other) {
			group = append(group, other)
		}
	}
	return group
}

// editValue applies the edits to the value that their first depth steps lead to; the zero Value stands for none, before
// and after.
func editValue(v value.Value, edits []edit, depth int) (value.Value, error) {
	if len(edits[0].steps) == depth {
		return edits[0].apply(v, depth)
	}
	if slices.ContainsFunc(edits, func(e edit) bool { return len(e.steps) == depth }) {
		return value.Value{}, errUpdatePath
	}
	switch v.Kind() {
	case value.M:
		fields, err := editFields(v.Map(), edits, depth)
		return value.Map(fields), err
	case value.L:
		list, err := editList(v.List(), edits, depth)
		return value.List(list), err
	}
	return value.Value{}, errUpdatePath
}

// apply does the action at the end of the path.
func (e edit) apply(v value.Value, depth int) (value.Value, error) {
	switch e.verb {
	case remove:
		return value.Value{}, nil
	case add:
		return e.add(v)
	case del:
		return e.delete(v)
	}
	if depth-1+e.operand.Levels() > value.MaxLevels {
		return value.Value{}, errNesting
	}
	return e.operand, nil
}

// add adds a number, from 0 where there is none, or the members of a set.
func (e edit) add(v value.Value) (value.Value, error) {
	switch {
	case v.IsZero():
		return e.operand, nil
	case v.Kind() != e.operand.Kind():
		return value.Value{}, errOperandType
	case v.Kind() == value.N:
		sum, err := v.Number().Add(e.operand.Number())
		return value.Numeric(sum), err
	}
	return value.Set(v.Kind(), slices.Concat(v.Members(), e.operand.Members())), nil
}

// delete takes members out of a set; nothing is left of a set without members.
func (e edit) delete(v value.Value) (value.Value, error) {
	if v.IsZero() {
		return v, nil
	}
	if v.Kind() != e.operand.Kind() {
		return value.Value{}, errOperandType
	}
	gone := make(map[string]bool, len(e.operand.Members()))
	for _, m := range e.operand.Members() {
		gone[m] = true
	}
	left := make([]string, 0, len(v.Members()))
	for _, m := range v.Members() {
		if !gone[m] {
			left = append(left, m)
		}
	}
	return value.Set(v.Kind(), left), nil
}
