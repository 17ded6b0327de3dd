package dynamodb

import (
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// itemParams are the parameters of operations on one item, and of the actions
// in transactions; each uses some of them.
type itemParams struct {
	table         wire.Text
	key, item     string // JSON
	exprs         exprParams
	returnValues  string
	returnFailed  string // ReturnValuesOnConditionCheckFailure
	returnMetrics string
	consumed      string
	consistent    bool
}

// exprParams are a request's expressions and what their placeholders stand for.
type exprParams struct {
	condition, update, projection, keyCondition, filter wire.Text
	names                                               value.Item // each an S
	values                                              string     // JSON
	legacy                                              []string   // parameters from before expressions, by name
}

// member reads one member if it is an expression's; ok tells.
func (p *exprParams) member(d *wire.Decoder, name string) (ok bool, err error) {
	switch name {
	case "ConditionExpression":
		err = d.Text(&p.condition)
	case "UpdateExpression":
		err = d.Text(&p.update)
	case "ProjectionExpression":
		err = d.Text(&p.projection)
	case "KeyConditionExpression":
		err = d.Text(&p.keyCondition)
	case "FilterExpression":
		err = d.Text(&p.filter)
	case "ExpressionAttributeNames":
		err = d.StringMap(&p.names)
	case "ExpressionAttributeValues":
		err = d.RawInto(&p.values)
	case "Expected", "AttributeUpdates", "AttributesToGet", "KeyConditions", "QueryFilter", "ScanFilter", "ConditionalOperator":
		var raw string
		if raw, err = d.Raw(); raw != "" {
			p.legacy = append(p.legacy, name)
		}
	default:
		return false, nil
	}
	return true, err
}

func (p *itemParams) read(d *wire.Decoder) error {
	return d.Object(func(name string) error { return p.member(d, name) })
}

func (p *itemParams) member(d *wire.Decoder, name string) error {
	switch name {
	case "TableName":
		return d.Text(&p.table)
	case "Key":
		return d.RawInto(&p.key)
	case "Item":
		return d.RawInto(&p.item)
	case "ReturnValues":
		return d.String(&p.returnValues)
	case "ReturnValuesOnConditionCheckFailure":
		return d.String(&p.returnFailed)
	case "ReturnConsumedCapacity":
		return d.String(&p.consumed)
	case "ReturnItemCollectionMetrics":
		return d.String(&p.returnMetrics)
	case "ConsistentRead":
		return d.Bool(&p.consistent)
	}
	ok, err := p.exprs.member(d, name)
	if !ok {
		return d.Skip()
	}
	return err
}

// readItemParams reads a whole body.
func readItemParams(body string) (*itemParams, error) {
	p := &itemParams{}
	d := wire.New(body)
	return p, d.Document(func(name string) error { return p.member(d, name) })
}

// expression is one of an operation's kinds of expressions and its text.
type expression struct {
	field  expr.Field
	source string
}

// maxExpressions is how many kinds of expressions an operation takes.
const maxExpressions = 3

// expressions are a request's, parsed and checked; those that were not given are nil.
type expressions struct {
	condition, filter *expr.Condition
	update            *expr.Update
	projection        *expr.Projection
	keyCondition      *expr.KeyCondition
	args              expr.Args
}

// parse parses and checks the expressions that the operation takes.
func (s *Server) parse(p *exprParams, fields ...expr.Field) (e expressions, err error) {
	given := p.given(make([]expression, 0, maxExpressions), fields)
	if err := p.checkUse(fields, given); err != nil {
		return e, err
	}
	if e.args, err = expr.NewArgs(p.names, p.values); err != nil {
		return e, err
	}
	used := make([]expr.Usage, 0, maxExpressions)
	for _, g := range given {
		u, err := s.parseOne(&e, g)
		if err != nil {
			return e, err
		}
		used = append(used, u)
	}
	return e, e.args.Unused(used...)
}

func (p *exprParams) source(f expr.Field) wire.Text {
	switch f {
	case expr.ConditionExpression:
		return p.condition
	case expr.UpdateExpression:
		return p.update
	case expr.ProjectionExpression:
		return p.projection
	case expr.KeyConditionExpression:
		return p.keyCondition
	default:
		return p.filter
	}
}

func (p *exprParams) given(given []expression, fields []expr.Field) []expression {
	for _, f := range fields {
		if src := p.source(f); src.Given {
			given = append(given, expression{f, src.S})
		}
	}
	return given
}

// checkUse refuses legacy parameters, and placeholders where no expression could
// use them.
func (p *exprParams) checkUse(fields []expr.Field, given []expression) error {
	if len(p.legacy) > 0 {
		return p.refuseLegacy(given)
	}
	if p.names != nil && len(given) == 0 {
		return invalid("ExpressionAttributeNames can only be specified when using expressions")
	}
	if p.values == "" {
		return nil
	}
	var takes []expr.Field
	for _, f := range fields {
		if f == expr.ProjectionExpression {
			continue
		}
		if p.source(f).Given {
			return nil
		}
		takes = append(takes, f)
	}
	if len(takes) == 0 {
		p.values = "" // not a parameter of this operation: ignored as any unknown one
		return nil
	}
	return invalid("ExpressionAttributeValues can only be specified when using expressions%s", nullFields(takes))
}

func nullFields(fields []expr.Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	verb := " is null"
	if len(names) > 1 {
		verb = " are null"
	}
	return ": " + strings.Join(names, " and ") + verb
}

func (p *exprParams) refuseLegacy(given []expression) error {
	if len(given) == 0 {
		return invalid("The legacy parameter %s is not supported by this server: use expressions", p.legacy[0])
	}
	names := make([]string, len(given))
	for i, g := range given {
		names[i] = string(g.field)
	}
	return invalid("Can not use both expression and non-expression parameters in the same request: "+
		"Non-expression parameters: {%s} Expression parameters: {%s}", strings.Join(p.legacy, ", "), strings.Join(names, ", "))
}

func (s *Server) parseOne(e *expressions, g expression) (u expr.Usage, err error) {
	switch g.field {
	case expr.UpdateExpression:
		if e.update, err = s.exprs.Update(g.source); err == nil {
			u, err = e.update.Uses(), e.update.Check(e.args)
		}
	case expr.ProjectionExpression:
		if e.projection, err = s.exprs.Projection(g.source); err == nil {
			u, err = e.projection.Uses(), e.projection.Check(e.args)
		}
	case expr.KeyConditionExpression:
		// Checked when it is resolved: that needs the schema.
		if e.keyCondition, err = s.exprs.KeyCondition(g.source); err == nil {
			u = e.keyCondition.Uses()
		}
	case expr.ConditionExpression:
		if e.condition, err = s.exprs.Condition(g.source, g.field); err == nil {
			u, err = e.condition.Uses(), e.condition.Check(e.args)
		}
	case expr.FilterExpression:
		if e.filter, err = s.exprs.Condition(g.source, g.field); err == nil {
			u, err = e.filter.Uses(), e.filter.Check(e.args)
		}
	}
	return u, err
}
