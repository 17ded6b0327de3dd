package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// answer is an events.APIGatewayProxyResponse, read as API Gateway reads it:
// values of headers may be any plain JSON value.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format
type answer struct {
	StatusCode        int                 `json:"statusCode"`
	Headers           map[string]plain    `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Body              string              `json:"body"` // only where encoding/json had to read it
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
	body              []byte
}

// plain is a JSON string, number or boolean as text.
type plain string

// UnmarshalJSON refuses objects and lists.
func (p *plain) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(p))
	case '{', '[', 'n':
		return fmt.Errorf("the header value %.20s is not plain", b)
	}
	*p = plain(b)
	return nil
}

// reply writes a function's answer to the client. It fails, and has written
// nothing then, when the answer is not one. The body is decoded into buffer.
func (c *call) reply(payload []byte, buffer *[]byte) error {
	a, err := decodeAnswer(payload, *buffer)
	if err != nil {
		return fmt.Errorf("malformed answer: %w", err)
	}
	if a.StatusCode < 200 || a.StatusCode > 599 {
		return fmt.Errorf("malformed answer: statusCode %d", a.StatusCode)
	}
	*buffer = a.body
	body := a.body
	// API Gateway decodes only for a client that accepts a binary media type,
	// and hands the base64 text to any other.
	if a.IsBase64Encoded && matchesMedia(c.g.binary, c.r.Header.Get("Accept")) {
		if body, err = base64.StdEncoding.AppendDecode(nil, a.body); err != nil {
			return fmt.Errorf("malformed answer: %w", err)
		}
	}
	h := c.w.Header()
	a.copyHeaders(h)
	if len(h["Content-Type"]) == 0 {
		h["Content-Type"] = jsonType // API Gateway's default
	}
	c.status = a.StatusCode
	if a.StatusCode == http.StatusNoContent || a.StatusCode == http.StatusNotModified {
		c.w.WriteHeader(a.StatusCode)
		return nil
	}
	if len(body) >= countedBody || c.r.Method == http.MethodHead {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	c.w.WriteHeader(a.StatusCode)
	if c.r.Method != http.MethodHead {
		n, _ := c.w.Write(body) // a client that has gone is its own affair
		c.sent = int64(n)
	}
	return nil
}

// countedBody is the length of a body from which on net/http does not count it by
// itself (bufferBeforeChunkingSize in net/http/server.go). Without this header
// an answer of ours has eight, which is what a map takes before it grows.
const countedBody = 2048

var jsonType = []string{"application/json"}

var errNoStatus = errors.New("no statusCode")

// decodeAnswer reads an answer. Its body is written over buffer.
func decodeAnswer(payload, buffer []byte) (*answer, error) {
	a := &answer{body: buffer[:0]}
	s := scan(payload)
	if s.peek() != '{' {
		s.giveUp()
	}
	s.object(func(key string) { s.answerField(a, key) })
	if !s.end() {
		*a = answer{body: a.body}
		if err := json.Unmarshal(payload, a); err != nil {
			return nil, err
		}
		a.body = append(a.body[:0], a.Body...)
	}
	if a.StatusCode == 0 {
		return nil, errNoStatus
	}
	return a, nil
}

func (s *scanner) answerField(a *answer, key string) {
	switch key {
	case "statusCode":
		a.StatusCode = int(s.integer())
	case "headers":
		if !s.null() {
			s.giveUp() // the adapter sets none
		}
	case "multiValueHeaders":
		a.MultiValueHeaders = s.multiMap()
	case "body":
		a.body = s.appendStr(slices.Grow(a.body[:0], len(s.text)-s.at)) // it is most of the text
	case "isBase64Encoded":
		a.IsBase64Encoded = s.boolean()
	default:
		s.giveUp()
	}
}

// copyHeaders merges both maps; a name that is in both takes the values of
// multiValueHeaders.
func (a *answer) copyHeaders(h http.Header) {
	for name, v := range a.Headers {
		if name = http.CanonicalHeaderKey(name); forwardable(name) {
			h[name] = []string{string(v)}
		}
	}
	for name, values := range a.MultiValueHeaders {
		if name = http.CanonicalHeaderKey(name); forwardable(name) {
			h[name] = values
		}
	}
}
