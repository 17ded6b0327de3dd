// Package auth decides who may call the API: the Lambda authorizer in front of
// every route that is not open.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/aws/aws-lambda-go/events"
)

// Authorizer is the function that API Gateway asks about a key.
type Authorizer func(context.Context, events.APIGatewayCustomAuthorizerRequest) (events.APIGatewayCustomAuthorizerResponse, error)

// errUnauthorized is, word for word, what makes API Gateway answer 401.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
var errUnauthorized = errors.New("Unauthorized") //nolint:staticcheck // the word is AWS's

// NewAuthorizer returns the authorizer of the first admin key. key fetches it; an
// error of it fails the call, so that an outage locks out and lets nobody in.
//
// The answer covers the whole stage, since API Gateway caches it per key and not
// per route, and names the key as the usage plan's.
func NewAuthorizer(key func(context.Context) (string, error)) Authorizer {
	return func(ctx context.Context, r events.APIGatewayCustomAuthorizerRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
		want, err := key(ctx)
		if err != nil {
			return events.APIGatewayCustomAuthorizerResponse{}, err
		}
		if want == "" || !same(r.AuthorizationToken, want) {
			return events.APIGatewayCustomAuthorizerResponse{}, errUnauthorized
		}
		return events.APIGatewayCustomAuthorizerResponse{
			PrincipalID: "admin",
			PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
				Version:   "2012-10-17",
				Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: "Allow", Resource: []string{wholeStage(r.MethodArn)}}},
			},
			Context:            map[string]any{"role": "admin"},
			UsageIdentifierKey: want,
		}, nil
	}
}

// same compares in a time that depends on neither value: of their hashes, so that
// the length stays hidden too.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// wholeStage widens arn:aws:execute-api:region:account:api/stage/METHOD/path to
// every method and path of its stage.
func wholeStage(arn string) string {
	slashes := 0
	for n, c := range arn {
		if c == '/' {
			if slashes++; slashes == 2 {
				return arn[:n] + "/*"
			}
		}
	}
	return arn
}
