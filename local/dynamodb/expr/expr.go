// Package expr holds DynamoDB's expressions: conditions and filters, updates, projections and key conditions.
//
// A parsed expression is immutable, safe for concurrent use, and independent of a request: placeholders (#name,
// :value) are resolved when it is checked or evaluated, so that a Cache can keep it by its source text. One request does:
//
//	args, err := expr.NewArgs(names, valuesJSON)          // nil where the request has none
//	update, err := cache.Update(src)
//	err = update.Check(args)                              // then the same, in this order, for ConditionExpression,
//	…                                                     // KeyConditionExpression, FilterExpression, ProjectionExpression
//	err = args.Unused(update.Uses(), condition.Uses())    // last, over all expressions of the request
//
// and only then looks at items. Check finds whatever is wrong with an expression and its placeholders whichever item it
// meets; Eval, Apply and Resolve report what depends on the item or the table. All errors are *value.Error with AWS's texts.
//
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
package expr

// Field is the name of the request's parameter that an expression came in; error texts begin with it.
type Field string

// The parameters that hold expressions.
const (
	ConditionExpression    Field = "ConditionExpression"
	FilterExpression       Field = "FilterExpression"
	UpdateExpression       Field = "UpdateExpression"
	ProjectionExpression   Field = "ProjectionExpression"
	KeyConditionExpression Field = "KeyConditionExpression"
)
