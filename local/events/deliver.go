package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// deliver hands records to the function, in order, until it has taken them all or they have been given up. It returns early
// only when ctx ends; what was not done then comes again after the next start.
func (r *reader) deliver(ctx context.Context, records []record) error {
	if err := r.enterWindow(ctx, records[0]); err != nil {
		return err
	}
	parts := [][]record{records}
	tries, pause := 0, firstPause
	for len(parts) > 0 {
		head := parts[0]
		done, err := r.callOnceOrTwice(ctx, head)
		if done > 0 {
			r.moved(head[done-1].sequence)
			head, tries, pause = head[done:], 0, firstPause
		}
		if len(head) == 0 {
			parts = parts[1:]
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.log.Error("the function failed on a batch", "error", err, "records", len(head), "first", head[0].sequence)
		if tries++; r.stream.Retries >= 0 && tries > r.stream.Retries || r.old(head[0]) {
			if head, err = r.giveUp(ctx, head, tries, err); err != nil {
				return err
			}
			tries, pause = 0, firstPause
		}
		parts = split(parts[1:], head, r.stream.BisectOnError && done == 0)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// split puts head back before rest, in halves if bisect.
func split(rest [][]record, head []record, bisect bool) [][]record {
	switch {
	case len(head) == 0:
		return rest
	case bisect && len(head) > 1:
		return append([][]record{head[:len(head)/2], head[len(head)/2:]}, rest...)
	}
	return append([][]record{head}, rest...)
}

func (r *reader) old(first record) bool {
	return r.stream.MaximumRecordAge > 0 && time.Since(first.created) > r.stream.MaximumRecordAge
}

// answer is what a function may say about a batch.
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
type answer struct {
	State             json.RawMessage `json:"state"`
	BatchItemFailures []struct {
		ItemIdentifier string `json:"itemIdentifier"`
	} `json:"batchItemFailures"`
}

var errFailures = errors.New("it reported records as failed")

// call invokes the function with records (none at a window's end) and says how many of them, from the first, are done.
func (r *reader) call(ctx context.Context, records []record, final bool) (done int, err error) {
	payload, err := r.function.invoke(ctx, r.event(records, final))
	if err != nil {
		return 0, err
	}
	windows, reports := r.stream.TumblingWindow > 0, r.stream.ReportBatchItemFailures
	if !windows && !reports {
		return len(records), nil
	}
	var a answer
	if err := json.Unmarshal(payload, &a); err != nil {
		return 0, fmt.Errorf("its answer is not what a stream's function may say: %w", err)
	}
	done = len(records)
	if reports && len(a.BatchItemFailures) > 0 {
		done, err = firstFailure(records, a), errFailures
	}
	if windows && done == len(records) {
		r.window.State = emptyState
		if len(a.State) > 0 && string(a.State) != "null" {
			r.window.State = a.State
		}
	}
	return done, err
}

// firstFailure is the index of the first record named. A name that is none of theirs fails the whole batch.
func firstFailure(records []record, a answer) int {
	index := make(map[string]int, len(records))
	for n, rec := range records {
		index[rec.sequence] = n
	}
	first := len(records)
	for _, f := range a.BatchItemFailures {
		n, ok := index[f.ItemIdentifier]
		if !ok {
			return 0
		}
		first = min(first, n)
	}
	return first
}

// event is the JSON of an events.DynamoDBEvent, or of a DynamoDBTimeWindowEvent for a stream with windows.
func (r *reader) event(records []record, final bool) []byte {
	size := 512
	for _, rec := range records {
		size += len(rec.raw) + len(r.arn) + 32
	}
	dst := append(make([]byte, 0, size), `{"Records":[`...)
	for n, rec := range records {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = rec.appendEvent(dst, r.arn)
	}
	dst = append(dst, ']')
	if r.stream.TumblingWindow > 0 {
		dst = r.appendWindow(dst, final)
	}
	return append(dst, '}')
}

// giveUp stores records at the stream's destination and returns those of head that are still to be tried: what is too old
// goes alone, what has failed too often goes whole.
func (r *reader) giveUp(ctx context.Context, head []record, tries int, cause error) ([]record, error) {
	n, condition := len(head), "RetryAttemptsExhausted"
	if r.old(head[0]) {
		condition = "RecordAgeExceeded"
		for n = 1; n < len(head) && r.old(head[n]); n++ {
		}
	}
	if err := r.store(ctx, head[:n], condition, tries, cause); err != nil {
		return nil, err
	}
	r.moved(head[n-1].sequence)
	return head[n:], nil
}

// store writes the record of a failed batch as Lambda does to a bucket, and does not give up: nothing else has it.
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
func (r *reader) store(ctx context.Context, records []record, condition string, tries int, cause error) error {
	r.log.Error("a batch was given up", "condition", condition, "records", len(records),
		"first", records[0].sequence, "last", records[len(records)-1].sequence, "error", cause)
	if r.failed == nil || r.stream.OnFailure == "" {
		return nil
	}
	now := time.Now().UTC()
	body, err := json.Marshal(map[string]any{
		"requestContext": map[string]any{
			"requestId": uuid.NewString(), "functionArn": r.function.arn, "condition": condition, "approximateInvokeCount": tries,
		},
		"responseContext": map[string]any{"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
		"version":         "1.0",
		"timestamp":       now.Format("2006-01-02T15:04:05.000Z"),
		"DDBStreamBatchInfo": map[string]any{
			"shardId": r.shard, "startSequenceNumber": records[0].sequence, "endSequenceNumber": records[len(records)-1].sequence,
			"approximateArrivalOfFirstRecord": records[0].created.UTC(), "approximateArrivalOfLastRecord": records[len(records)-1].created.UTC(),
			"batchSize": len(records), "streamArn": r.arn,
		},
		"payload": string(r.event(records, false)),
	})
	if err != nil {
		return err
	}
	key := strings.Join([]string{"aws/lambda", r.id, r.shard, now.Format("2006/01/02"), now.Format("2006-01-02T15.04.05-") + uuid.NewString()}, "/")
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if err = r.failed(ctx, key, body); err == nil {
			return nil
		}
		r.log.Error("a batch that was given up cannot be stored", "key", key, "error", err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}
