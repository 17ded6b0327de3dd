// Command sync-workers is the function that the schedule starts once a minute.
package main

import (
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/jobs"
	"github.com/bloom-runtime/bloom/shared/link"
)

func main() {
	table, err := dynamo.FromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	l, err := link.FromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(jobs.SyncWorkers(table, l).Run)
}
