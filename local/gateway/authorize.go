package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// authorizerTimeout bounds an authorizer's answer.
	// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
	authorizerTimeout = 10 * time.Second
	// maxIdentities bounds the answers that are kept.
	maxIdentities = 10_000
)

// authorizer is a Lambda authorizer of type TOKEN with its cache. As in API
// Gateway, an answer is kept for the header's value and covers every method;
// errors ("Unauthorized" too) are not kept.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/configure-api-gateway-lambda-authorization.html
type authorizer struct {
	header   string
	ttl      time.Duration
	function *function
	now      func() time.Time

	mu      sync.Mutex
	known   map[string]kept
	pending map[string]*asking
}

type kept struct {
	identity *identity
	until    time.Time
}

// asking is a call of the authorizer that several requests may wait for.
type asking struct {
	done     chan struct{}
	identity *identity
	err      error
}

// identity is an authorizer's answer.
type identity struct {
	principal string
	usageKey  string
	context   []byte // the JSON of requestContext.authorizer
	policy    []statement
}

func newAuthorizer(header string, ttl time.Duration, f *function, now func() time.Time) *authorizer {
	return &authorizer{
		header: header, ttl: ttl, function: f, now: now, known: map[string]kept{}, pending: map[string]*asking{},
	}
}

// authorize asks who the client is and whether it may call this method.
func (c *call) authorize() *refusal {
	a := c.g.auth
	if a == nil || c.route.Open {
		return nil
	}
	token := c.r.Header.Get(a.header)
	if token == "" { // API Gateway does not call the authorizer for that
		return errUnauthorized
	}
	arn := c.methodARN()
	if len(arn) > maxARN {
		// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
		return errURITooLong
	}
	who, err := a.ask(c.g, c.id, token, arn)
	switch {
	case err != nil && err.Error() == "Unauthorized":
		return errUnauthorized
	case errors.Is(err, errManyCalls):
		return errBusy
	case err != nil:
		c.g.log.Error("authorizer failed", "function", a.function.name, "request_id", c.id, "error", err.Error())
		return errAuthorizer
	}
	c.principal = who.principal
	if !allowed(who.policy, arn) || c.route.KeyRequired && who.usageKey == "" {
		return errForbidden
	}
	c.identity = who
	return nil
}

// methodARN names the method that is called, with the path as it was sent.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html
func (c *call) methodARN() string {
	return "arn:aws:execute-api:us-east-1:" + accountID + ":" + apiID + "/" + c.g.stage + "/" + c.r.Method + c.path
}

// ask answers from the cache, waits for a call for the same token that is under
// way, or calls.
func (a *authorizer) ask(g *Gateway, id, token, arn string) (*identity, error) {
	a.mu.Lock()
	if k, ok := a.known[token]; ok && a.now().Before(k.until) {
		a.mu.Unlock()
		return k.identity, nil
	}
	if p, ok := a.pending[token]; ok {
		a.mu.Unlock()
		<-p.done // closed within authorizerTimeout
		return p.identity, p.err
	}
	p := &asking{done: make(chan struct{})}
	a.pending[token] = p
	a.mu.Unlock()

	p.identity, p.err = a.call(g, id, token, arn)
	a.mu.Lock()
	delete(a.pending, token)
	if p.err == nil && a.ttl > 0 {
		a.keep(token, p.identity)
	}
	a.mu.Unlock()
	close(p.done)
	return p.identity, p.err
}

// keep makes room first: the outdated go, and if none is, any one.
func (a *authorizer) keep(token string, who *identity) {
	now := a.now()
	if len(a.known) >= maxIdentities {
		for t, k := range a.known {
			if !now.Before(k.until) {
				delete(a.known, t)
			}
		}
		for t := range a.known {
			if len(a.known) < maxIdentities {
				break
			}
			delete(a.known, t)
		}
	}
	a.known[token] = kept{who, now.Add(a.ttl)}
}

func (a *authorizer) call(g *Gateway, id, token, arn string) (*identity, error) {
	b := newBuffers() // not released: its answer is cached
	b.event = append(b.event[:0], `{"type":"TOKEN","authorizationToken":`...)
	b.event = appendString(b.event, token)
	b.event = append(b.event, `,"methodArn":`...)
	b.event = appendString(b.event, arn)
	b.event = append(b.event, '}')
	payload, err := g.invoke(a.function, id, authorizerTimeout, b)
	if err != nil {
		return nil, err
	}
	return decodeIdentity(payload)
}

// decodeIdentity reads an authorizer's answer.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
func decodeIdentity(payload []byte) (*identity, error) {
	var a struct {
		PrincipalID    string `json:"principalId"`
		PolicyDocument struct {
			Statement []statement
		} `json:"policyDocument"`
		Context            map[string]any `json:"context"`
		UsageIdentifierKey string         `json:"usageIdentifierKey"`
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("malformed answer: %w", err)
	}
	if a.PrincipalID == "" || len(a.PolicyDocument.Statement) == 0 {
		return nil, errors.New("malformed answer: principalId or policyDocument is missing")
	}
	who := &identity{principal: a.PrincipalID, usageKey: a.UsageIdentifierKey, policy: a.PolicyDocument.Statement}
	who.context = append(who.context, `{"principalId":`...)
	who.context = appendString(who.context, a.PrincipalID)
	for name, v := range a.Context {
		text, ok := stringified(v)
		if !ok {
			return nil, fmt.Errorf("malformed answer: context.%s is not a plain value", name)
		}
		who.context = appendPair(who.context, true, name, text)
	}
	who.context = append(who.context, '}')
	return who, nil
}

// stringified is how a function gets a context value: every one is a string.
func stringified(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// statement is one of a policy's; Action and Resource may be a word or a list.
type statement struct {
	Effect   string
	Action   words
	Resource words
}

type words []string

// UnmarshalJSON takes a string or a list of strings.
func (w *words) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*w = make([]string, 1)
		return json.Unmarshal(b, &(*w)[0])
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// allowed decides as IAM does: a Deny wins, and what nothing allows is denied.
func allowed(policy []statement, arn string) bool {
	yes := false
	for _, s := range policy {
		about := slices.ContainsFunc(s.Action, func(a string) bool { return glob(strings.ToLower(a), "execute-api:invoke") }) &&
			slices.ContainsFunc(s.Resource, func(r string) bool { return glob(r, arn) })
		if about && s.Effect == "Deny" {
			return false
		}
		yes = yes || about && s.Effect == "Allow"
	}
	return yes
}

// glob matches * (anything) and ? (one character), in time linear in both for
// the patterns that policies have.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
