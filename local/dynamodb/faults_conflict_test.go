package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestOverlaps lets single writes, transactions and transactions of reads meet on
// one item until each was refused, and counts what was acknowledged.
func TestOverlaps(t *testing.T) {
	t.Parallel()
	c, _ := clientWith(t, Faults{Overlaps: true})
	table := createMain(t, c)
	key := pksk("hot", "1")
	add := func() *types.Update {
		return &types.Update{TableName: &table, Key: key, UpdateExpression: aws.String("ADD n :n"), ExpressionAttributeValues: item{":n": num("1")}}
	}
	var done atomic.Int64
	var single, written, read atomic.Int64 // refusals
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	over := func() bool {
		return ctx.Err() != nil || single.Load() > 0 && written.Load() > 0 && read.Load() > 0
	}
	work := []func() error{
		func() error {
			u := add()
			_, err := c.UpdateItem(t.Context(), &sdk.UpdateItemInput{TableName: u.TableName, Key: u.Key, UpdateExpression: u.UpdateExpression,
				ExpressionAttributeValues: u.ExpressionAttributeValues})
			return refusedBy(err, "TransactionConflictException", &single, &done)
		},
		func() error {
			_, err := c.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Update: add()}}})
			return refusedBy(err, "TransactionConflict", &written, &done)
		},
		func() error {
			_, err := c.TransactGetItems(t.Context(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
				{Get: &types.Get{TableName: &table, Key: key}}}})
			return refusedBy(err, "TransactionConflict", &read, nil)
		},
	}
	var g sync.WaitGroup
	for n := range 9 {
		g.Go(func() {
			for !over() {
				if err := work[n%3](); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	g.Wait()
	if single.Load() == 0 || written.Load() == 0 || read.Load() == 0 {
		t.Errorf("refused: %d single writes, %d transactions, %d transactions of reads", single.Load(), written.Load(), read.Load())
	}
	wantItem(t, fetch(t, c, table, key), map[string]string{"PK": "hot", "SK": "1", "n": fmt.Sprint("#", done.Load())})
}

// refusedBy counts a success in done, or a refusal by this code or reason; any
// other error is returned.
func refusedBy(err error, code string, refused, done *atomic.Int64) error {
	var conflict *types.TransactionConflictException
	var cancelled *types.TransactionCanceledException
	switch {
	case err == nil:
		if done != nil {
			done.Add(1)
		}
	case errors.As(err, &conflict) && code == conflict.ErrorCode() && conflict.ErrorMessage() == textConflict,
		errors.As(err, &cancelled) && aws.ToString(cancelled.CancellationReasons[0].Code) == code &&
			aws.ToString(cancelled.CancellationReasons[0].Message) == textConflict:
		refused.Add(1)
	default:
		return err
	}
	return nil
}

// TestNothingOverlapsOneAfterTheOther: what has been answered is over.
func TestNothingOverlapsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	c, s := clientWith(t, Faults{Overlaps: true})
	table := createMain(t, c)
	for range 20 {
		for _, call := range everyCall(table) {
			if err := call.call(t.Context(), c); err != nil {
				t.Fatalf("%s: %v", call.name, err)
			}
		}
	}
	f := s.faults.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.singles)+len(f.transactions)+len(f.tokens) != 0 {
		t.Errorf("still under way: %v %v %v", f.singles, f.transactions, f.tokens)
	}
}

// TestATokenInUse: of two calls with one token at the same time, the second is told
// so; once the first is over it is answered as done.
func TestATokenInUse(t *testing.T) {
	t.Parallel()
	c, _ := clientWith(t, Faults{Overlaps: true})
	table := createMain(t, c)
	deadline := time.Now().Add(20 * time.Second)
	rounds := 0
	for busy := false; !busy; rounds++ {
		if time.Now().After(deadline) {
			t.Fatalf("%d times two calls with one token did not meet", rounds)
		}
		in := &sdk.TransactWriteItemsInput{ClientRequestToken: aws.String(fmt.Sprint("token-", rounds)),
			TransactItems: []types.TransactWriteItem{{Update: &types.Update{TableName: &table, Key: pksk("t", "1"),
				UpdateExpression: aws.String("ADD n :n"), ExpressionAttributeValues: item{":n": num("1")}}}}}
		errs := make([]error, 4)
		var g sync.WaitGroup
		for n := range errs {
			g.Go(func() { _, errs[n] = c.TransactWriteItems(t.Context(), in) })
		}
		g.Wait()
		for _, err := range errs {
			if err != nil {
				wantError(t, err, "TransactionInProgressException", "The transaction with the given request token is already in progress.")
				busy = true
			}
		}
		if _, err := c.TransactWriteItems(t.Context(), in); err != nil {
			t.Fatalf("once it is over: %v", err)
		}
	}
	wantItem(t, fetch(t, c, table, pksk("t", "1")), map[string]string{"PK": "t", "SK": "1", "n": fmt.Sprint("#", rounds)})
}
