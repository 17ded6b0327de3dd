package events

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// client reads streams through the SDK, and records as the JSON they come in.
type client struct {
	sdk *dynamodbstreams.Client
}

func newClient(cfg aws.Config) client {
	return client{dynamodbstreams.NewFromConfig(cfg)}
}

// shard is a part of a stream.
type shard struct {
	id, parent string
}

// find returns the ARN of the table's stream: the newest, since a table that got a new stream keeps the old one for a day.
func (c client) find(ctx context.Context, table string) (string, error) {
	var arn, newest string
	in := &dynamodbstreams.ListStreamsInput{TableName: &table}
	for {
		out, err := c.sdk.ListStreams(ctx, in)
		if err != nil {
			return "", err
		}
		for _, s := range out.Streams {
			if label := aws.ToString(s.StreamLabel); label > newest {
				arn, newest = aws.ToString(s.StreamArn), label
			}
		}
		if out.LastEvaluatedStreamArn == nil {
			break
		}
		in.ExclusiveStartStreamArn = out.LastEvaluatedStreamArn
	}
	if arn == "" {
		return "", fmt.Errorf("the table %s has no stream", table)
	}
	return arn, nil
}

func (c client) shards(ctx context.Context, arn string) ([]shard, error) {
	var all []shard
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: &arn}
	for {
		out, err := c.sdk.DescribeStream(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range out.StreamDescription.Shards {
			all = append(all, shard{aws.ToString(s.ShardId), aws.ToString(s.ParentShardId)})
		}
		if out.StreamDescription.LastEvaluatedShardId == nil {
			return all, nil
		}
		in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId
	}
}

// iterator begins after the record of that number, or with the oldest when there is none.
func (c client) iterator(ctx context.Context, arn, shard, after string) (*string, error) {
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: &arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	if after != "" {
		in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &after
	}
	out, err := c.sdk.GetShardIterator(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// records returns the body of an answer of GetRecords.
func (c client) records(ctx context.Context, iterator *string, limit int) (body []byte, err error) {
	_, err = c.sdk.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(int32(limit))},
		func(o *dynamodbstreams.Options) { o.APIOptions = append(o.APIOptions, take(&body)) })
	return body, err
}

// maxAnswer bounds an answer of GetRecords: 1 MB of records, which is more as JSON.
const maxAnswer = 16 << 20

// take has the SDK do everything but decode a good answer: its body goes to into, an empty one to the decoder.
func take(into *[]byte) func(*middleware.Stack) error {
	return func(s *middleware.Stack) error {
		return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("TakeBody", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, meta, err := next.HandleDeserialize(ctx, in)
			res, ok := out.RawResponse.(*smithyhttp.Response)
			if err != nil || !ok || res.StatusCode != http.StatusOK {
				return out, meta, err
			}
			b, err := readBody(res.Response)
			if err != nil {
				return out, meta, &smithyhttp.RequestSendError{Err: err} // retried, as the SDK does with its own reads
			}
			_ = res.Body.Close()
			*into = b
			res.Body = io.NopCloser(bytes.NewReader([]byte("{}")))
			return out, meta, nil
		}), middleware.After)
	}
}

// readBody reads an answer whole, at once where its length is known.
func readBody(res *http.Response) ([]byte, error) {
	if res.ContentLength < 0 || res.ContentLength > maxAnswer {
		return io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	}
	b := make([]byte, res.ContentLength)
	_, err := io.ReadFull(res.Body, b)
	return b, err
}
