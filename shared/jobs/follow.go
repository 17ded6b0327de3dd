package jobs

import (
	"context"
	"encoding/json"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// Follower is the function behind the table's stream: it turns changes into audit
// entries and counters. It is a lambda.Handler and reads its event itself, in
// one pass: a batch may be megabytes of images, of which it needs little.
type Follower struct{ table *dynamo.Table }

// Follow returns the function.
func Follow(table *dynamo.Table) Follower { return Follower{table} }

// Invoke takes in one batch. An error has Lambda deliver the batch again.
//
// The event is that of a tumbling window, since only this kind names the shard;
// windows themselves are of no use here, and their state goes back as it came.
func (f Follower) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	e, err := dynamo.ReadStreamEvent(payload)
	if err != nil {
		return nil, err
	}
	if err := f.table.Follow(ctx, e.ShardID, e.Records); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]json.RawMessage{"state": e.State})
}
