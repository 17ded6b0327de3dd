package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What stands for the account and the API in events and ARNs.
const (
	accountID = "000000000000"
	apiID     = "local"
)

// appendEvent appends the JSON of the events.APIGatewayProxyRequest for a call.
// It differs from the encoder of encoding/json only in the order of the keys.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format
//
// What it says of details was recorded against AWS (see param): the path and
// its parameters stay percent-encoded, the query is decoded, of a repeated
// header or query key the single-valued map carries the last value, and what
// is not there is null.
func (c *call) appendEvent(dst, body []byte) ([]byte, *refusal) {
	query, ok := parseQuery(c.r.URL.RawQuery)
	if !ok {
		return dst, errBadQuery
	}
	dst = append(dst, `{"resource":`...)
	dst = appendString(dst, c.route.Path)
	dst = append(dst, `,"path":`...)
	dst = appendString(dst, c.path)
	dst = append(dst, `,"httpMethod":`...)
	dst = appendString(dst, c.r.Method)
	dst = c.appendHeaders(dst)
	dst = appendQuery(dst, query)
	dst = append(dst, `,"pathParameters":`...)
	dst = c.appendParams(dst)
	dst = append(dst, `,"stageVariables":null,"requestContext":`...)
	dst = c.appendContext(dst)
	return c.appendEventBody(dst, body)
}

// skipHeader names what concerns the connection and not the function.
func skipHeader(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "Te", "Upgrade",
		"Host", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto":
		return true
	}
	return false
}

func (c *call) appendHeaders(dst []byte) []byte {
	port := c.port()
	forwarded := c.client
	if earlier := c.r.Header.Get("X-Forwarded-For"); earlier != "" {
		forwarded = earlier + ", " + c.client // as API Gateway does: the last is the one it saw
	}
	own := [...]param{
		{"Host", c.r.Host}, {"X-Forwarded-For", forwarded}, {"X-Forwarded-Port", port}, {"X-Forwarded-Proto", "https"},
	}
	dst = append(dst, `,"headers":{`...)
	for i, h := range own {
		dst = appendPair(dst, i > 0, h.name, h.value)
	}
	for name, values := range c.r.Header {
		if len(values) > 0 && !skipHeader(name) {
			dst = appendPair(dst, true, name, values[len(values)-1])
		}
	}
	dst = append(dst, `},"multiValueHeaders":{`...)
	for i, h := range own {
		dst = appendList(dst, i > 0, h.name, h.value)
	}
	for name, values := range c.r.Header {
		if len(values) > 0 && !skipHeader(name) {
			dst = appendList(dst, true, name, values...)
		}
	}
	return append(dst, '}')
}

func (c *call) port() string {
	if i := strings.LastIndexByte(c.r.Host, ':'); i >= 0 && !strings.HasSuffix(c.r.Host, "]") {
		return c.r.Host[i+1:]
	}
	return "443"
}

func appendPair(dst []byte, comma bool, name, value string) []byte {
	if comma {
		dst = append(dst, ',')
	}
	dst = appendString(dst, name)
	dst = append(dst, ':')
	return appendString(dst, value)
}

func appendList(dst []byte, comma bool, name string, values ...string) []byte {
	if comma {
		dst = append(dst, ',')
	}
	dst = appendString(dst, name)
	dst = append(dst, ':', '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, v)
	}
	return append(dst, ']')
}

type queryKey struct {
	name   string
	values []string
}

// parseQuery decodes a query string; false for an escape that is none. Keys
// keep their order. A semicolon is an ordinary character.
func parseQuery(raw string) ([]queryKey, bool) {
	var out []queryKey
	at := map[string]int(nil)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, false
		}
		if at == nil {
			at = map[string]int{}
		}
		i, seen := at[name]
		if !seen {
			i = len(out)
			at[name] = i
			out = append(out, queryKey{name: name})
		}
		out[i].values = append(out[i].values, value)
	}
	return out, true
}

func appendQuery(dst []byte, query []queryKey) []byte {
	if len(query) == 0 {
		return append(dst, `,"queryStringParameters":null,"multiValueQueryStringParameters":null`...)
	}
	dst = append(dst, `,"queryStringParameters":{`...)
	for i, q := range query {
		dst = appendPair(dst, i > 0, q.name, q.values[len(q.values)-1])
	}
	dst = append(dst, `},"multiValueQueryStringParameters":{`...)
	for i, q := range query {
		dst = appendList(dst, i > 0, q.name, q.values...)
	}
	return append(dst, '}')
}

func (c *call) appendParams(dst []byte) []byte {
	if len(c.params) == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '{')
	for i, p := range c.params {
		dst = appendPair(dst, i > 0, p.name, p.value)
	}
	return append(dst, '}')
}

// appendContext appends the requestContext. The stack is served at the root, as
// under a custom domain, so its path is without the stage.
func (c *call) appendContext(dst []byte) []byte {
	dst = append(dst, `{"accountId":"`+accountID+`","apiId":"`+apiID+`","domainPrefix":"`+apiID+`","resourceId":"local","stage":`...)
	dst = appendString(dst, c.g.stage)
	dst = append(dst, `,"domainName":`...)
	dst = appendString(dst, c.r.Host)
	dst = append(dst, `,"requestId":`...)
	dst = appendString(dst, c.id)
	dst = append(dst, `,"extendedRequestId":`...)
	dst = appendString(dst, c.id)
	dst = append(dst, `,"protocol":`...)
	dst = appendString(dst, c.r.Proto)
	dst = append(dst, `,"resourcePath":`...)
	dst = appendString(dst, c.route.Path)
	dst = append(dst, `,"path":`...)
	dst = appendString(dst, c.path)
	dst = append(dst, `,"httpMethod":`...)
	dst = appendString(dst, c.r.Method)
	dst = append(dst, `,"requestTime":"`...)
	dst = c.start.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	dst = append(dst, `","requestTimeEpoch":`...)
	dst = strconv.AppendInt(dst, c.start.UnixMilli(), 10)
	dst = append(dst, `,"identity":{"cognitoIdentityPoolId":null,"accountId":null,"cognitoIdentityId":null,"caller":null,`+
		`"accessKey":null,"cognitoAuthenticationType":null,"cognitoAuthenticationProvider":null,"principalOrgId":null,`+
		`"userArn":null,"user":null,"sourceIp":`...)
	dst = appendString(dst, c.client)
	dst = append(dst, `,"userAgent":`...)
	if agent := c.r.Header.Get("User-Agent"); agent != "" {
		dst = appendString(dst, agent)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, '}')
	if c.identity != nil {
		dst = append(dst, `,"authorizer":`...)
		dst = append(dst, c.identity.context...)
	}
	return append(dst, '}')
}

// appendEventBody appends the body: as text, or in base64 when its type is one
// of the API's binary media types. API Gateway decodes any other body as UTF-8
// and puts U+FFFD for what is not, so that a function can never see that it was
// broken; here such a body comes in base64 too, with the bytes as they were
// sent, as it does in the cloud with the binary media type */*.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings-workflow.html
func (c *call) appendEventBody(dst, body []byte) ([]byte, *refusal) {
	switch {
	case len(body) == 0:
		dst = append(dst, `,"body":null,"isBase64Encoded":false}`...)
	case matchesMedia(c.g.binary, c.r.Header.Get("Content-Type")) || !utf8.Valid(body):
		if base64.StdEncoding.EncodedLen(len(body)) > maxPayload {
			return dst, errEventTooLarge
		}
		dst = append(dst, `,"body":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, body)
		dst = append(dst, `","isBase64Encoded":true}`...)
	default:
		dst = append(dst, `,"body":"`...)
		dst = appendEscaped(dst, body)
		dst = append(dst, `","isBase64Encoded":false}`...)
	}
	if len(dst) > maxPayload {
		return dst, errEventTooLarge
	}
	return dst, nil
}

// matchesMedia tells whether a header's first media type is among the binary
// ones: the same, "image/*" or "*/*".
func matchesMedia(binary []string, header string) bool {
	if len(binary) == 0 {
		return false
	}
	media, _, _ := strings.Cut(header, ",")
	media, _, _ = strings.Cut(media, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	for _, b := range binary {
		major, all := strings.CutSuffix(b, "*")
		if b == "*/*" || strings.EqualFold(b, media) || all && media != "" && strings.HasPrefix(media, strings.ToLower(major)) {
			return true
		}
	}
	return false
}

// forwardable reports whether a function's header may reach the client; the
// others belong to the connection.
func forwardable(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Date", "Keep-Alive", "Trailer", "Transfer-Encoding", "Upgrade",
		"X-Request-Id", "X-Amzn-Requestid":
		return false
	}
	return true
}

// secure sets what every answer carries; a function may say otherwise.
func secure(h http.Header) {
	h["Strict-Transport-Security"] = hsts
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = noStore
	h["X-Frame-Options"] = deny
	h["Referrer-Policy"] = noReferrer
}

// Shared by all answers: net/http only reads them, and a function that sets
// one of these headers replaces the slice.
var (
	hsts       = []string{"max-age=31536000"}
	nosniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	deny       = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
)
