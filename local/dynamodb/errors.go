package dynamodb

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// Namespaces of error names in `__type`.
const (
	nsDynamo   = "com.amazonaws.dynamodb.v20120810#"
	nsValidate = "com.amazon.coral.validate#"
	nsService  = "com.amazon.coral.service#"
)

// apiError is an answer other than success: its name and text are AWS's.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
type apiError struct {
	namespace, name string
	message         string
	status          int
	item            value.Item // the item that failed a condition, when asked for
	reasons         []reason   // of a cancelled transaction, one for each action
	throttled       *throttledBy
	key             keyFault
}

// keyFault is what a ValidationException says of an item's key, where that
// decides how it is reported.
type keyFault uint8

const (
	keyMismatch keyFault = iota + 1 // absent, or of another type than the table's
	keyEmpty
)

func (e *apiError) of(key keyFault) *apiError {
	e.key = key
	return e
}

func (e *apiError) Error() string { return e.name + ": " + e.message }

// reason says why one action of a transaction stopped it; an empty code: it did not.
type reason struct {
	code, message string
	item          value.Item
}

func failure(name, format string, args ...any) *apiError {
	return &apiError{namespace: nsDynamo, name: name, message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

func invalid(format string, args ...any) *apiError {
	return &apiError{namespace: nsValidate, name: value.CodeValidation, message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

func invalidParameter(format string, args ...any) *apiError {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

func internal(err error) *apiError {
	return &apiError{namespace: nsDynamo, name: "InternalServerError", message: err.Error(), status: http.StatusInternalServerError}
}

var (
	errNoTable         = failure("ResourceNotFoundException", "Requested resource not found")
	errConditionFailed = failure("ConditionalCheckFailedException", "The conditional request failed")
	errKeySchema       = invalid("The provided key element does not match the schema")
	errClosed          = internal(errors.New("the server is shutting down"))
)

// conditionFailed carries the item as it was, nil when it was not asked for.
func conditionFailed(item value.Item) *apiError {
	e := *errConditionFailed
	e.item = item
	return &e
}

// asAPIError says what to answer for err. Errors that have no name of their own
// are ours: 500.
func asAPIError(err error) *apiError {
	var api *apiError
	if errors.As(err, &api) {
		return api
	}
	var v *value.Error
	if errors.As(err, &v) {
		ns := nsValidate
		if v.Code == value.CodeSerialization {
			ns = nsService
		}
		return &apiError{namespace: ns, name: v.Code, message: v.Message, status: http.StatusBadRequest}
	}
	return internal(err)
}

// messageMember is the name of the text's member: AWS's model spells it with a
// capital for some errors.
func (e *apiError) messageMember() string {
	switch e.name {
	case "TransactionCanceledException", "IdempotentParameterMismatchException", value.CodeSerialization:
		return "Message"
	}
	return "message"
}

// throttledMember likewise.
func (e *apiError) throttledMember() string {
	if e.name == "ThrottlingException" {
		return "throttlingReasons"
	}
	return "ThrottlingReasons"
}

func (e *apiError) appendJSON(dst []byte) []byte {
	o := wire.Begin(dst)
	o.String("__type", e.namespace+e.name)
	o.String(e.messageMember(), e.message)
	if e.item != nil {
		o.Name("Item")
		o.Buf = value.AppendItem(o.Buf, e.item)
	}
	if e.throttled != nil {
		o.Name(e.throttledMember())
		o.Buf = append(o.Buf, '[')
		by := wire.Begin(o.Buf)
		by.String("reason", e.throttled.reason)
		by.String("resource", e.throttled.resource)
		o.Buf = append(by.End(), ']')
	}
	if e.reasons != nil {
		o.Name("CancellationReasons")
		o.Buf = append(o.Buf, '[')
		for i, r := range e.reasons {
			if i > 0 {
				o.Buf = append(o.Buf, ',')
			}
			o.Buf = r.appendJSON(o.Buf)
		}
		o.Buf = append(o.Buf, ']')
	}
	return o.End()
}

func (r reason) name() string {
	if r.code == "" {
		return "None"
	}
	return r.code
}

func (r reason) appendJSON(dst []byte) []byte {
	o := wire.Begin(dst)
	o.String("Code", r.name())
	if r.message != "" {
		o.String("Message", r.message)
	}
	if r.item != nil {
		o.Name("Item")
		o.Buf = value.AppendItem(o.Buf, r.item)
	}
	return o.End()
}

// cancelled is the answer to a transaction that one or more of its actions stopped.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#API_TransactWriteItems_Errors
func cancelled(reasons []reason) *apiError {
	names := make([]string, len(reasons))
	for i, r := range reasons {
		names[i] = r.name()
	}
	e := failure("TransactionCanceledException",
		"Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(names, ", "))
	e.reasons = reasons
	return e
}

// itemError is what is wrong with an item or a key by its table's schema. In a
// transaction it is the reason of its action; elsewhere it is the answer.
type itemError struct{ err error }

func (e *itemError) Error() string { return e.err.Error() }
func (e *itemError) Unwrap() error { return e.err }

func (e *itemError) reason() reason {
	return reason{code: "ValidationError", message: asAPIError(e.err).message}
}

// ofItem marks err, if it is one, as an itemError. That a key is empty is seen
// before the transaction begins, and is not.
func ofItem(err error) error {
	var api *apiError
	if err == nil || errors.As(err, &api) && api.key == keyEmpty {
		return err
	}
	return &itemError{err}
}
