// Command list-nodes is the function behind GET /api/membridge/projects/{cid}/nodes.
package main

import (
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/api"
)

func main() {
	m, err := api.MembridgeFromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(api.NewEntry(api.ListNodes(m)))
}
