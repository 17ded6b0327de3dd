// Command heartbeat-task is the function behind POST /api/runtime/llm-tasks/{id}/heartbeat.
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
	lambda.Start(api.NewEntry(api.HeartbeatTask(table)))
}
