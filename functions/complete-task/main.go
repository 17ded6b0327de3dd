// Command complete-task is the function behind POST /api/runtime/llm-tasks/{id}/complete.
package main

import (
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/api"
	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
)

func main() {
	table, err := dynamo.FromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	bucket, err := blob.FromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(api.NewEntry(api.CompleteTask(table, bucket, clock.System)))
}
