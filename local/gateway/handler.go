package gateway

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// Proxy is a function behind a route, as lambda.Start takes it.
type Proxy func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// NewHandler is lambda.NewHandler for a function on one machine, where one
// function serves many requests at once. It takes the same functions and gives
// the same JSON, but:
//
//   - The answer belongs to the caller. What lambda.NewHandler's Invoke returns
//     lies in a buffer that its next call uses again (jsonOutBufferPool in
//     aws-lambda-go/lambda/handler.go, 1.55): good for Lambda, which makes one
//     call at a time, while here one client would get another's answer.
//   - Events of API Gateway are read and written by code for these two types in
//     place of reflection, which took most of a request's time in the gateway.
//     What that code does not take as it is goes to encoding/json.
func NewHandler(function any) lambda.Handler {
	v := reflect.ValueOf(function)
	if t := reflect.TypeFor[proxyHandler](); v.IsValid() && v.CanConvert(t) {
		return v.Convert(t).Interface().(proxyHandler)
	}
	return reflectedHandler{function}
}

// reflectedHandler makes a lambda.Handler, with buffers of its own, for each call.
type reflectedHandler struct{ function any }

// Invoke calls the function.
func (h reflectedHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return lambda.NewHandler(h.function).Invoke(ctx, payload)
}

// proxyHandler is a function behind API Gateway.
type proxyHandler func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// Invoke calls the function.
func (h proxyHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return h.invoke(ctx, payload, nil)
}

// invoke appends the answer to dst. (Until then dst serves to decode the event.)
func (h proxyHandler) invoke(ctx context.Context, payload, dst []byte) ([]byte, error) {
	event, err := decodeEvent(payload, dst[len(dst):])
	if err != nil {
		return nil, err
	}
	answer, err := h(ctx, event)
	if err != nil {
		return nil, err
	}
	return appendAnswer(slices.Grow(dst, len(answer.Body)+len(answer.Body)/4+512), answer), nil
}

// decodeEvent reads an event, and writes over scratch.
func decodeEvent(payload, scratch []byte) (events.APIGatewayProxyRequest, error) {
	var e events.APIGatewayProxyRequest
	s := scan(payload)
	s.scratch = scratch
	s.object(func(key string) { s.eventField(&e, key) })
	if s.end() {
		return e, nil
	}
	return decodeOddEvent(payload)
}

// decodeOddEvent is for what the scanner does not take. (The event of decodeEvent
// stays on the stack so.)
func decodeOddEvent(payload []byte) (events.APIGatewayProxyRequest, error) {
	var e events.APIGatewayProxyRequest
	err := json.Unmarshal(payload, &e)
	return e, err
}

func (s *scanner) eventField(e *events.APIGatewayProxyRequest, key string) {
	switch key {
	case "resource":
		e.Resource = s.str()
	case "path":
		e.Path = s.str()
	case "httpMethod":
		e.HTTPMethod = s.str()
	case "headers":
		e.Headers = s.stringMap()
	case "multiValueHeaders":
		e.MultiValueHeaders = s.multiMap()
	case "queryStringParameters":
		e.QueryStringParameters = s.stringMap()
	case "multiValueQueryStringParameters":
		e.MultiValueQueryStringParameters = s.multiMap()
	case "pathParameters":
		e.PathParameters = s.stringMap()
	case "stageVariables":
		e.StageVariables = s.stringMap()
	case "requestContext":
		s.object(func(key string) { s.contextField(&e.RequestContext, key) })
	case "body":
		e.Body = s.str()
	case "isBase64Encoded":
		e.IsBase64Encoded = s.boolean()
	default:
		s.skip(0)
	}
}

func (s *scanner) multiMap() map[string][]string {
	if s.null() {
		return nil
	}
	out := map[string][]string{}
	s.object(func(key string) { out[key] = s.strs() })
	return out
}

func (s *scanner) stringMap() map[string]string {
	if s.null() {
		return nil
	}
	out := map[string]string{}
	s.object(func(key string) { out[key] = s.str() })
	return out
}

func (s *scanner) contextField(c *events.APIGatewayProxyRequestContext, key string) {
	switch key {
	case "accountId":
		c.AccountID = s.str()
	case "apiId":
		c.APIID = s.str()
	case "resourceId":
		c.ResourceID = s.str()
	case "operationName":
		c.OperationName = s.str()
	case "stage":
		c.Stage = s.str()
	case "domainName":
		c.DomainName = s.str()
	case "domainPrefix":
		c.DomainPrefix = s.str()
	case "requestId":
		c.RequestID = s.str()
	case "extendedRequestId":
		c.ExtendedRequestID = s.str()
	case "protocol":
		c.Protocol = s.str()
	case "resourcePath":
		c.ResourcePath = s.str()
	case "path":
		c.Path = s.str()
	case "httpMethod":
		c.HTTPMethod = s.str()
	case "requestTime":
		c.RequestTime = s.str()
	case "requestTimeEpoch":
		c.RequestTimeEpoch = s.integer()
	case "identity":
		s.object(func(key string) { s.identityField(&c.Identity, key) })
	case "authorizer":
		c.Authorizer = s.authorizerContext()
	default:
		s.skip(0)
	}
}

// identityField reads what the gateway sets; for more than that it gives up.
func (s *scanner) identityField(i *events.APIGatewayRequestIdentity, key string) {
	switch {
	case key == "sourceIp":
		i.SourceIP = s.str()
	case key == "userAgent":
		i.UserAgent = s.str()
	case !s.null():
		s.giveUp()
	}
}

// authorizerContext reads values that are strings, as API Gateway's are.
func (s *scanner) authorizerContext() map[string]any {
	if s.null() {
		return nil
	}
	out := map[string]any{}
	s.object(func(key string) {
		if s.peek() != '"' {
			s.giveUp()
			return
		}
		out[key] = s.str()
	})
	return out
}

// appendAnswer is the JSON of the answer, as encoding/json has it but for the
// order of headers.
func appendAnswer(dst []byte, a events.APIGatewayProxyResponse) []byte {
	dst = append(dst, `{"statusCode":`...)
	dst = strconv.AppendInt(dst, int64(a.StatusCode), 10)
	dst = append(dst, `,"headers":`...)
	if a.Headers == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '{')
		comma := false
		for name, v := range a.Headers {
			dst = appendPair(dst, comma, name, v)
			comma = true
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `,"multiValueHeaders":`...)
	if a.MultiValueHeaders == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '{')
		comma := false
		for name, values := range a.MultiValueHeaders {
			dst = appendList(dst, comma, name, values...)
			comma = true
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `,"body":`...)
	dst = appendString(dst, a.Body)
	if a.IsBase64Encoded {
		dst = append(dst, `,"isBase64Encoded":true`...)
	}
	return append(dst, '}')
}
