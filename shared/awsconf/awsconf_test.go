package awsconf

import (
	"errors"
	"strings"
	"testing"
)

func clear(t *testing.T) {
	for _, k := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
		"AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB"} {
		t.Setenv(k, "")
	}
}

func TestFromEnv(t *testing.T) {
	clear(t)
	if _, err := FromEnv(S3); !errors.Is(err, ErrNoCredentials) {
		t.Fatalf("no credentials: got %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	t.Setenv("AWS_SESSION_TOKEN", "TOKEN")
	if _, err := FromEnv(S3); !errors.Is(err, ErrNoRegion) {
		t.Fatalf("no region: got %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	cfg, err := FromEnv(S3)
	if err != nil || cfg.Region != DefaultRegion || *cfg.BaseEndpoint != "http://127.0.0.1:1" {
		t.Fatalf("endpoint without region: %+v, %v", cfg, err)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2")
	t.Setenv("AWS_REGION", "eu-west-1")
	cfg, err = FromEnv(S3)
	if err != nil || cfg.Region != "eu-west-1" || *cfg.BaseEndpoint != "http://127.0.0.1:2" {
		t.Fatalf("service endpoint: %+v, %v", cfg, err)
	}
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || creds.AccessKeyID != "AK" || creds.SecretAccessKey != "SK" || creds.SessionToken != "TOKEN" {
		t.Fatalf("credentials: %+v, %v", creds, err)
	}
	cfg, err = FromEnv(DynamoDB)
	if err != nil || *cfg.BaseEndpoint != "http://127.0.0.1:1" {
		t.Fatalf("another service keeps the general endpoint: %+v, %v", cfg, err)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "127.0.0.1:2")
	if _, err := FromEnv(S3); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_S3") {
		t.Fatalf("bad endpoint: got %v", err)
	}
}
