package blob

import "github.com/bloom-runtime/bloom/shared/awsconf"

// FromEnv opens the bucket of a function's environment: BUCKET_NAME and, where clients reach it elsewhere,
// BLOOM_PUBLIC_S3_ENDPOINT. It makes no call.
func FromEnv(getenv func(string) string) (*Bucket, error) {
	cfg, err := awsconf.FromEnv(awsconf.S3)
	if err != nil {
		return nil, err
	}
	return Open(Config{Name: getenv("BUCKET_NAME"), AWS: cfg, PublicEndpoint: getenv("BLOOM_PUBLIC_S3_ENDPOINT")})
}
