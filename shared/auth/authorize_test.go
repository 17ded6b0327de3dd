package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/bloom-runtime/bloom/shared/auth"
)

const arn = "arn:aws:execute-api:eu-west-1:123456789012:abcdef/live/GET/api/runtime/llm-tasks/x"

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	outage := errors.New("secrets are away")
	for _, c := range []struct {
		name, configured, sent string
		fails                  error
		allowed                bool
	}{
		{"the key", "s3cret", "s3cret", nil, true},
		{"another key", "s3cret", "s3cre", nil, false},
		{"a longer key", "s3cret", "s3cret ", nil, false},
		{"no key", "s3cret", "", nil, false},
		{"a key that is no ASCII", "s3cret", "ключ", nil, false},
		{"a very long key", "s3cret", strings.Repeat("s3cret", 2000), nil, false},
		{"nothing configured lets nobody in", "", "", nil, false},
		{"an outage lets nobody in", "s3cret", "s3cret", outage, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			authorize := auth.NewAuthorizer(func(context.Context) (string, error) { return c.configured, c.fails })
			got, err := authorize(t.Context(), events.APIGatewayCustomAuthorizerRequest{Type: "TOKEN", AuthorizationToken: c.sent, MethodArn: arn})
			if !c.allowed {
				// API Gateway answers 401 for exactly this message and 500 for any other.
				if err == nil || c.fails == nil && err.Error() != "Unauthorized" || c.fails != nil && !errors.Is(err, c.fails) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s := got.PolicyDocument.Statement[0]
			if s.Effect != "Allow" || s.Resource[0] != "arn:aws:execute-api:eu-west-1:123456789012:abcdef/live/*" {
				t.Errorf("the policy must cover the whole stage, since it is cached for all of it: %+v", s)
			}
			if got.PrincipalID != "admin" || got.UsageIdentifierKey != "s3cret" || got.Context["role"] != "admin" {
				t.Errorf("%+v", got)
			}
		})
	}
}
