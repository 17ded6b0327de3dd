// Command test-connection is the function behind POST /api/runtime/test-connection.
package main

import (
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/api"
	"github.com/bloom-runtime/bloom/shared/dynamo"
)

func main() {
	table, err := dynamo.FromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	link, err := api.MembridgeFromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(api.NewEntry(api.TestConnection(table, link)))
}
