// Command authorize is the Lambda authorizer in front of the API.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/auth"
	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/secret"
)

func main() {
	cfg, err := awsconf.FromEnv(awsconf.SecretsManager)
	if err != nil {
		log.Fatal(err)
	}
	secrets, name := secret.Open(cfg), os.Getenv("RUNTIME_API_KEY_SECRET")
	lambda.Start(auth.NewAuthorizer(func(ctx context.Context) (string, error) { return secrets.Get(ctx, name) }))
}
