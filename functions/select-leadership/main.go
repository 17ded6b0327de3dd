// Command select-leadership is the function behind POST /api/membridge/projects/{cid}/leadership/select.
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
	lambda.Start(api.NewEntry(api.SelectLeadership(table, link)))
}
