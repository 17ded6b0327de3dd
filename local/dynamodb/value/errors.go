package value

// Codes of Error, as DynamoDB names them in `__type`.
const (
	CodeValidation    = "ValidationException"
	CodeSerialization = "SerializationException"
)

// Error is a refusal in DynamoDB's own words. Code is one of the Code constants, Message the text that a client
// of AWS would see.
type Error struct {
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Invalid returns a ValidationException with the given text.
func Invalid(message string) *Error { return &Error{Code: CodeValidation, Message: message} }

func malformed(message string) *Error { return &Error{Code: CodeSerialization, Message: message} }

func invalidParameter(detail string) *Error {
	return Invalid("One or more parameter values were invalid: " + detail)
}
