package jobs

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// Follow is the function behind the table's stream: it turns changes into audit
// entries and counters. An error has Lambda deliver the batch again.
//
// The event is that of a tumbling window, since only this kind names the shard:
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
// Windows themselves are of no use here; their state stays empty.
func Follow(table *dynamo.Table) func(context.Context, events.DynamoDBTimeWindowEvent) (events.DynamoDBTimeWindowEventResponse, error) {
	return func(ctx context.Context, e events.DynamoDBTimeWindowEvent) (events.DynamoDBTimeWindowEventResponse, error) {
		records := make([]dynamo.Record, len(e.Records))
		for n, r := range e.Records {
			records[n] = dynamo.ReadRecord(r)
		}
		return events.DynamoDBTimeWindowEventResponse{
			TimeWindowEventResponseProperties: events.TimeWindowEventResponseProperties{State: e.State},
		}, table.Follow(ctx, e.ShardID, records)
	}
}
