package dynamo

import (
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// maxAttempts bounds how often the SDK sends one call. What DynamoDB refuses in
// passing (a throttled partition, a transaction on the same item) it takes
// within milliseconds most often; callTimeout bounds the whole.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html#Programming.Errors.RetryAndBackoff
const maxAttempts = 10

// Waits between two attempts: the longest before the second one, and before any.
const (
	firstBackoff = 10 * time.Millisecond
	maxBackoff   = time.Second
)

// conflict is what a write of one item gets that meets a transaction on it. The
// SDK doesn't take it for one to try again.
const conflict = "TransactionConflictException"

// withRetries sets how calls are tried again.
func withRetries(o *dynamodb.Options) {
	o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts = maxAttempts
		s.Backoff = retry.BackoffDelayerFunc(backoff)
		s.Retryables = append(s.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{conflict: {}}})
	})
}

// backoff is exponential with full jitter; attempt is the number of the one that
// failed, from 0.
func backoff(attempt int, _ error) (time.Duration, error) {
	span := min(firstBackoff<<min(attempt, 10), maxBackoff)
	return time.Duration(rand.Int64N(int64(span)) + 1), nil
}
