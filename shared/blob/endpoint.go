package blob

import (
	"context"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// fixedEndpoint answers every call's question for its endpoint with the bucket's. The SDK's own resolver runs its rule set
// twice a call, only to come to the same end.
type fixedEndpoint struct{ smithyendpoints.Endpoint }

// ResolveEndpoint gives the endpoint.
func (f fixedEndpoint) ResolveEndpoint(context.Context, s3.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return f.Endpoint, nil
}

// fixedScheme has every call signed in the same way. Calls share the option: the SDK changes it only for endpoints that
// bring options of their own.
type fixedScheme struct{ option *smithyauth.Option }

// ResolveAuthSchemes gives the scheme.
func (f fixedScheme) ResolveAuthSchemes(context.Context, *s3.AuthResolverParameters) ([]*smithyauth.Option, error) {
	return []*smithyauth.Option{f.option}, nil
}

// sigV4 is what S3 signs by: a path is escaped once.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func sigV4(region string) *smithyauth.Option {
	o := &smithyauth.Option{SchemeID: smithyauth.SchemeIDSigV4}
	smithyhttp.SetSigV4SigningName(&o.SignerProperties, "s3")
	smithyhttp.SetSigV4SigningRegion(&o.SignerProperties, region)
	smithyhttp.SetDisableDoubleEncoding(&o.SignerProperties, true)
	return o
}

// forServer sets what a server other than AWS allows to leave out of the calls to one bucket: the rules of AWS's endpoints,
// and all that tells AWS about its caller.
func forServer(bucket string) func(*s3.Options) {
	return func(o *s3.Options) {
		if o.BaseEndpoint == nil {
			return
		}
		u, err := url.Parse(*o.BaseEndpoint)
		if err != nil {
			return // the SDK's resolver says what is wrong with it
		}
		o.EndpointResolverV2 = fixedEndpoint{smithyendpoints.Endpoint{URI: *u.JoinPath(bucket)}}
		o.AuthSchemeResolver = fixedScheme{sigV4(o.Region)}
		o.APIOptions = append(o.APIOptions, leaveOut)
	}
}

// leaveOut takes out of each call what has to do with AWS's endpoints or tells AWS about its caller. Every operation of a bucket
// has these.
func leaveOut(stack *middleware.Stack) error {
	if _, err := stack.Initialize.Remove("S3Shared:ARNLookup"); err != nil {
		return err
	}
	for _, id := range []string{
		"S3:ProcessARNResource", "S3:ObjectLambdaEndpoint", "serializeImmutableHostnameBucket", "S3:UpdateEndpoint",
		"S3:RemoveBucketFromPathMiddleware", "isExpressUserAgent",
	} {
		if _, err := stack.Serialize.Remove(id); err != nil {
			return err
		}
	}
	for _, id := range []string{"UserAgent", "ClientRequestID", "RecursionDetection"} {
		if _, err := stack.Build.Remove(id); err != nil {
			return err
		}
	}
	return nil
}
