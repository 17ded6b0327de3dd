package dynamodb

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

func TestBadStreamRequests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, streams := newSubject(t)
	r := newReaderOf(t, streams, createMain(t, c))
	iterator := func(change func(*dynamodbstreams.GetShardIteratorInput)) error {
		in := &dynamodbstreams.GetShardIteratorInput{StreamArn: &r.arn, ShardId: &r.shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
		change(in)
		_, err := streams.GetShardIterator(ctx, in)
		return err
	}
	const malformed = "not-the-arn-of-any-stream-but-long-enough-to-be-one"
	gone := r.arn + "0"
	cases := []struct {
		name, code, text string
		call             func() error
	}{
		{"describe a malformed ARN", "ValidationException", "Invalid StreamArn", func() error {
			_, err := streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(malformed)})
			return err
		}},
		{"describe what is not there", "ResourceNotFoundException", "not found", func() error {
			_, err := streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &gone})
			return err
		}},
		{"list from a malformed ARN", "ValidationException", "Invalid StreamArn", func() error {
			_, err := streams.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{ExclusiveStartStreamArn: aws.String(malformed)})
			return err
		}},
		{"no number where one is needed", "ValidationException", "SequenceNumber", func() error {
			return iterator(func(in *dynamodbstreams.GetShardIteratorInput) {
				in.ShardIteratorType = types.ShardIteratorTypeAfterSequenceNumber
			})
		}},
		{"a number where none belongs", "ValidationException", "SequenceNumber", func() error {
			return iterator(func(in *dynamodbstreams.GetShardIteratorInput) {
				in.SequenceNumber = aws.String("100000000000000000001")
			})
		}},
		{"another shard", "ResourceNotFoundException", "Shard does not exist", func() error {
			return iterator(func(in *dynamodbstreams.GetShardIteratorInput) {
				in.ShardId = aws.String("shardId-00000000000000000000-00000000")
			})
		}},
		{"a type that is none", "ValidationException", "enum value set", func() error {
			return iterator(func(in *dynamodbstreams.GetShardIteratorInput) { in.ShardIteratorType = "FIRST" })
		}},
	}
	for _, tc := range cases {
		err := tc.call()
		t.Run(tc.name, func(t *testing.T) { wantError(t, err, tc.code, tc.text) })
	}
}
