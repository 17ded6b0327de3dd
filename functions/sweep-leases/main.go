// Command sweep-leases is the function that the schedule starts once a minute.
package main

import (
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/jobs"
)

func main() {
	table, err := dynamo.FromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(jobs.Sweep(table))
}
