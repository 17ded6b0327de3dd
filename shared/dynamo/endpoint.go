package dynamo

import (
	"context"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/aws/smithy-go/middleware"
)

// fixedEndpoint answers every call's question for its endpoint with the one that
// is configured. The SDK's own resolver runs its rule set each time, only to
// come to the same end.
type fixedEndpoint struct{ smithyendpoints.Endpoint }

// ResolveEndpoint gives the endpoint.
func (f fixedEndpoint) ResolveEndpoint(context.Context, dynamodb.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return f.Endpoint, nil
}

// forServer sets what a server other than AWS allows to leave out: the rules of
// AWS's endpoints, and the checksum of answers that TLS or memory already guards.
func forServer(cfg aws.Config) func(*dynamodb.Options) {
	return func(o *dynamodb.Options) {
		if cfg.BaseEndpoint == nil {
			return
		}
		u, err := url.Parse(*cfg.BaseEndpoint)
		if err != nil {
			return // the SDK's resolver says what is wrong with it
		}
		o.EndpointResolverV2 = fixedEndpoint{smithyendpoints.Endpoint{URI: *u}}
		o.DisableValidateResponseChecksum = true
		o.APIOptions = append(o.APIOptions, leaveOut)
	}
}

// leaveOut takes out of each call what tells AWS about its caller.
func leaveOut(stack *middleware.Stack) error {
	for _, id := range []string{"UserAgent", "ClientRequestID", "RecursionDetection"} {
		if _, err := stack.Build.Remove(id); err != nil {
			return err
		}
	}
	return nil
}
