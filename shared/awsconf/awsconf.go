// Package awsconf builds the aws.Config that the service adapters start from.
//
// It reads the environment that Lambda sets and nothing else. The SDK's config.LoadDefaultConfig also knows profiles, SSO,
// STS and instance metadata: none of them exists in a function, and they add 1.8 MB to each binary.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
package awsconf

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Service is the suffix of a service's AWS_ENDPOINT_URL_… variable.
type Service string

// The services the runtime calls.
const (
	DynamoDB        Service = "DYNAMODB"
	DynamoDBStreams Service = "DYNAMODB_STREAMS"
	S3              Service = "S3"
	SecretsManager  Service = "SECRETS_MANAGER"
)

// DefaultRegion is used for a server other than AWS when no region is set: such servers take any.
const DefaultRegion = "us-east-1"

// ErrNoCredentials means that AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is unset.
var ErrNoCredentials = errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set")

// ErrNoRegion means that AWS itself is to be called and AWS_REGION is unset.
var ErrNoRegion = errors.New("AWS_REGION must be set")

// FromEnv returns the configuration of one service: region, credentials and, when AWS_ENDPOINT_URL_<SERVICE> or
// AWS_ENDPOINT_URL is set, the endpoint. It opens no connection. Errors: ErrNoCredentials, ErrNoRegion, a bad endpoint URL.
func FromEnv(s Service) (aws.Config, error) {
	endpoint, err := Endpoint(s)
	if err != nil {
		return aws.Config{}, err
	}
	key, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if key == "" || secret == "" {
		return aws.Config{}, ErrNoCredentials
	}
	region := first(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	if region == "" {
		if endpoint == "" {
			return aws.Config{}, ErrNoRegion
		}
		region = DefaultRegion
	}
	return Build(region, endpoint, key, secret, os.Getenv("AWS_SESSION_TOKEN"), nil), nil
}

// Endpoint is the service's endpoint from the environment, "" for AWS itself.
func Endpoint(s Service) (string, error) {
	for _, name := range []string{"AWS_ENDPOINT_URL_" + string(s), "AWS_ENDPOINT_URL"} {
		if v := os.Getenv(name); v != "" {
			u, err := url.Parse(v)
			if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
				return "", fmt.Errorf("%s must be an http or https URL", name)
			}
			return v, nil
		}
	}
	return "", nil
}

// Build returns a configuration from its parts. An empty endpoint is AWS itself; a nil client is an HTTP client of its own
// with short connection timeouts. Without an access key calls are not signed, which only a server in this process allows. A
// call is tried at most 3 times, with at most a second between two tries; how long a call
// may take in all is its context's business.
func Build(region, endpoint, accessKey, secretKey, sessionToken string, client aws.HTTPClient) aws.Config {
	cfg := aws.Config{
		Region:      region,
		Credentials: signer(accessKey, secretKey, sessionToken),
		HTTPClient:  client,
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = 3
				o.MaxBackoff = time.Second
			})
		},
	}
	if endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint)
		// Servers other than AWS do not all know the trailing checksums that the SDK adds by default.
		cfg.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		cfg.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
	if client == nil {
		cfg.HTTPClient = newHTTPClient()
	}
	return cfg
}

func signer(accessKey, secretKey, sessionToken string) aws.CredentialsProvider {
	if accessKey == "" {
		return aws.AnonymousCredentials{}
	}
	return credentials.NewStaticCredentialsProvider(accessKey, secretKey, sessionToken)
}

func newHTTPClient() aws.HTTPClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 2 * time.Second }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = 3 * time.Second
			t.MaxIdleConnsPerHost = 64
		})
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
