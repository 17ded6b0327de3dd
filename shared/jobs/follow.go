package jobs

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// Follow is the function behind the table's stream: it turns changes into audit
// entries and counters. An error has Lambda deliver the batch again.
//
// The event is that of a tumbling window, since only this kind names the shard;
// windows themselves are of no use here, and their state goes back as it came.
func Follow(table *dynamo.Table) func(context.Context, dynamo.StreamEvent) (events.DynamoDBTimeWindowEventResponse, error) {
	return func(ctx context.Context, e dynamo.StreamEvent) (events.DynamoDBTimeWindowEventResponse, error) {
		return events.DynamoDBTimeWindowEventResponse{
			TimeWindowEventResponseProperties: events.TimeWindowEventResponseProperties{State: e.State},
		}, table.Follow(ctx, e.ShardID, e.Records)
	}
}
