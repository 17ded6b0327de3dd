package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// Handler is lambda.NewHandler(httpadapter.New(h).ProxyWithContext) for a
// function on one machine: the same adapter, from the same JSON and to the same
// JSON, but read and written by code for these two types in place of
// reflection, which took most of a request's time in the gateway. What that
// code does not take as it is goes to encoding/json. The maps with one value for
// a header or query key are not read where those with all values are there: the
// adapter has no use for both.
func Handler(h http.Handler) lambda.Handler { return proxyHandler{httpadapter.New(h)} }

type proxyHandler struct{ adapter *httpadapter.HandlerAdapter }

// Invoke calls the handler with an events.APIGatewayProxyRequest.
func (p proxyHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	event, err := decodeEvent(payload)
	if err != nil {
		return nil, err
	}
	answer, err := p.adapter.ProxyWithContext(ctx, event)
	if err != nil {
		return nil, err
	}
	return appendAnswer(make([]byte, 0, len(answer.Body)+len(answer.Body)/8+512), answer), nil
}

func decodeEvent(payload []byte) (events.APIGatewayProxyRequest, error) {
	var e events.APIGatewayProxyRequest
	s := scan(string(payload))
	var single struct{ headers, query bool }
	s.object(func(key string) {
		switch {
		case key == "headers" && !s.null():
			single.headers = true
			s.skip(0)
		case key == "queryStringParameters" && !s.null():
			single.query = true
			s.skip(0)
		case key != "headers" && key != "queryStringParameters":
			s.eventField(&e, key)
		}
	})
	needed := single.headers && e.MultiValueHeaders == nil || single.query && len(e.MultiValueQueryStringParameters) == 0
	if s.end() && !needed {
		return e, nil
	}
	e = events.APIGatewayProxyRequest{}
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
	case "multiValueHeaders":
		e.MultiValueHeaders = s.multiMap()
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

// identityField reads what the gateway sets; with what else AWS may send it
// gives up.
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

// appendAnswer is the JSON of the answer.
func appendAnswer(dst []byte, a events.APIGatewayProxyResponse) []byte {
	dst = append(dst, `{"statusCode":`...)
	dst = strconv.AppendInt(dst, int64(a.StatusCode), 10)
	dst = append(dst, `,"headers":null,"multiValueHeaders":{`...) // the adapter sets no Headers
	comma := false
	for name, values := range a.MultiValueHeaders {
		dst = appendList(dst, comma, name, values...)
		comma = true
	}
	dst = append(dst, `},"body":`...)
	dst = appendString(dst, a.Body)
	if a.IsBase64Encoded {
		dst = append(dst, `,"isBase64Encoded":true`...)
	}
	return append(dst, '}')
}
