package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func transact(c *sdk.Client, token *string, actions ...types.TransactWriteItem) error {
	_, err := c.TransactWriteItems(context.Background(), &sdk.TransactWriteItemsInput{TransactItems: actions, ClientRequestToken: token})
	return err
}

func putAction(table string, it item, condition string) types.TransactWriteItem {
	p := &types.Put{TableName: &table, Item: it, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
	if condition != "" {
		p.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Put: p}
}

func addAction(table string, key item, n int, condition string, values item) types.TransactWriteItem {
	v := item{":n": num(strconv.Itoa(n))}
	for name, x := range values {
		v[name] = x
	}
	u := &types.Update{TableName: &table, Key: key, UpdateExpression: aws.String("ADD n :n"), ExpressionAttributeValues: v}
	if condition != "" {
		u.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Update: u}
}

func wantReasons(t *testing.T, err error, codes ...string) []types.CancellationReason {
	t.Helper()
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		t.Fatalf("got %v, want a cancellation", err)
	}
	if len(cancelled.CancellationReasons) != len(codes) {
		t.Fatalf("got %d reasons, want %d", len(cancelled.CancellationReasons), len(codes))
	}
	for i, r := range cancelled.CancellationReasons {
		if *r.Code != codes[i] {
			t.Errorf("reason %d is %s, want %s", i, *r.Code, codes[i])
		}
	}
	return cancelled.CancellationReasons
}

// reasonCodes is the name of the error and, of a cancellation, its codes.
func reasonCodes(err error) string {
	name := errorName(err)
	if cancelled := (*types.TransactionCanceledException)(nil); errors.As(err, &cancelled) {
		codes := []string{}
		for _, r := range cancelled.CancellationReasons {
			codes = append(codes, *r.Code)
		}
		name += fmt.Sprint(" ", codes)
	}
	return name
}

func TestTransactionAllOrNothing(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	put(t, c, table, item{"PK": str("old"), "SK": str("s"), "n": num("7"), "text": str("x")})
	put(t, c, table, pksk("gone", "s"))
	deleteGone := types.TransactWriteItem{Delete: &types.Delete{TableName: &table, Key: pksk("gone", "s")}}
	check := types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &table, Key: pksk("old", "s"), ConditionExpression: aws.String("attribute_exists(PK)")}}

	err := transact(c, nil, putAction(table, pksk("new", "s"), ""), putAction(table, pksk("old", "s"), "attribute_not_exists(PK)"), deleteGone)
	reasons := wantReasons(t, err, "None", "ConditionalCheckFailed", "None")
	wantItem(t, reasons[1].Item, map[string]string{"PK": "old", "SK": "s", "n": "#7", "text": "x"})
	if *reasons[1].Message != "The conditional request failed" {
		t.Errorf("message %q", *reasons[1].Message)
	}
	wantError(t, err, "TransactionCanceledException", "[None, ConditionalCheckFailed, None]")
	wantItem(t, fetch(t, c, table, pksk("new", "s")), nil)
	wantItem(t, fetch(t, c, table, pksk("gone", "s")), map[string]string{"PK": "gone", "SK": "s"})

	err = transact(c, nil, types.TransactWriteItem{Update: &types.Update{TableName: &table, Key: pksk("old", "s"),
		UpdateExpression: aws.String("ADD #t :one"), ExpressionAttributeNames: map[string]string{"#t": "text"}, ExpressionAttributeValues: item{":one": num("1")}}}, deleteGone)
	agree(t, "an update of a wrong type in a transaction", reasonCodes(err), "TransactionCanceledException [ValidationError None]")
	err = transact(c, nil, putAction(table, item{"PK": str("x")}, ""), deleteGone)
	agree(t, "an item without its key in a transaction", reasonCodes(err), "TransactionCanceledException [ValidationError None]")

	if err := transact(c, nil, putAction(table, pksk("new", "s"), "attribute_not_exists(PK)"), check, deleteGone); err != nil {
		t.Fatal(err)
	}
	wantItem(t, fetch(t, c, table, pksk("new", "s")), map[string]string{"PK": "new", "SK": "s"})
	wantItem(t, fetch(t, c, table, pksk("gone", "s")), nil)
}

func TestBadTransactions(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	many := make([]types.TransactWriteItem, 101)
	for i := range many {
		many[i] = putAction(table, pksk(fmt.Sprint(i), "s"), "")
	}
	wantError(t, transact(c, nil, many...), "ValidationException", "Member must have length less than or equal to 100")
	if err := transact(c, nil, many[:100]...); err != nil {
		t.Errorf("100 actions: %v", err)
	}
	wantError(t, transact(c, nil, []types.TransactWriteItem{}...), "ValidationException", "")
	wantError(t, transact(c, nil, many[0], many[0]), "ValidationException", "Transaction request cannot include multiple operations on one item")
	agree(t, "two actions on one item, of which one is refused", reasonCodes(transact(c, nil, putAction(table, pksk("0", "s"), "attribute_not_exists(PK)"),
		addAction(table, pksk("0", "s"), 1, "", nil))), "ValidationException")
	wantError(t, transact(c, nil, putAction("nowhere", pksk("a", "b"), "")), "ResourceNotFoundException", "")
	both := types.TransactWriteItem{Put: many[0].Put, Delete: &types.Delete{TableName: &table, Key: pksk("a", "b")}}
	wantError(t, transact(c, nil, both), "ValidationException", "TransactItems can only contain one of Check, Put, Update or Delete")
}

func TestConcurrentIncrements(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	const clients, each = 8, 50
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for range each {
				var err error
				if i%2 == 0 {
					_, err = c.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: &table, Key: pksk("counter", "s"),
						UpdateExpression: aws.String("ADD n :n"), ExpressionAttributeValues: item{":n": num("1")}})
				} else {
					err = transact(c, nil, addAction(table, pksk("counter", "s"), 1, "", nil))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantItem(t, fetch(t, c, table, pksk("counter", "s")), map[string]string{"PK": "counter", "SK": "s", "n": "#400"})
}

// TestBank moves money between accounts in transactions, while readers look at
// all accounts at once: the sum is always the same and none is overdrawn.
func TestBank(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	const accounts, start = 10, 20
	account := func(i int) item { return pksk("account", fmt.Sprint(i)) }
	for i := range accounts {
		it := account(i)
		it["n"] = num(fmt.Sprint(start))
		put(t, c, table, it)
	}
	var wg, readers sync.WaitGroup
	var over atomic.Bool
	for range 2 {
		readers.Go(func() {
			for !over.Load() {
				checkBank(t, c, table, accounts, start)
			}
		})
	}
	for range 6 {
		wg.Go(func() {
			for range 60 {
				from, to, sum := rand.IntN(accounts), rand.IntN(accounts), 1+rand.IntN(15)
				if from == to {
					continue
				}
				err := transact(c, nil, addAction(table, account(from), -sum, "n >= :sum", item{":sum": num(fmt.Sprint(sum))}),
					addAction(table, account(to), sum, "", nil))
				var refused *types.TransactionCanceledException
				if err != nil && !errors.As(err, &refused) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	over.Store(true)
	readers.Wait()
	checkBank(t, c, table, accounts, start)
}

func checkBank(t *testing.T, c *sdk.Client, table string, accounts, start int) {
	t.Helper()
	var gets []types.TransactGetItem
	for i := range accounts {
		gets = append(gets, types.TransactGetItem{Get: &types.Get{TableName: &table, Key: pksk("account", fmt.Sprint(i))}})
	}
	out, err := c.TransactGetItems(context.Background(), &sdk.TransactGetItemsInput{TransactItems: gets})
	if err != nil {
		t.Error(err)
		return
	}
	sum := 0
	for _, r := range out.Responses {
		n, _ := strconv.Atoi(r.Item["n"].(*types.AttributeValueMemberN).Value)
		if n < 0 {
			t.Errorf("an account has %d", n)
		}
		sum += n
	}
	if sum != accounts*start {
		t.Errorf("the accounts have %d, want %d", sum, accounts*start)
	}
}

// clock is a time that tests move.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	return c
}
func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func TestRequestToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clk := newClock()
	s, err := Open(dir, Options{Now: clk.now})
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	table := createMain(t, c)
	token := aws.String("token-1")
	add := func(n int) error { return transact(c, token, addAction(table, pksk("a", "b"), n, "", nil)) }
	want := func(n string) {
		t.Helper()
		wantItem(t, fetch(t, c, table, pksk("a", "b")), map[string]string{"PK": "a", "SK": "b", "n": n})
	}
	for range 3 {
		if err := add(1); err != nil {
			t.Fatal(err)
		}
	}
	want("#1")
	wantError(t, add(2), "IdempotentParameterMismatchException", "")

	clk.advance(9 * time.Minute)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c = client(openServer(t, dir, Options{Now: clk.now}))
	if err := add(1); err != nil {
		t.Fatal(err)
	}
	want("#1")
	clk.advance(time.Minute)
	if err := add(2); err != nil {
		t.Fatal(err)
	}
	want("#3")
}

func TestRequestTokenInOneCommit(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := transact(c, aws.String("same"), addAction(table, pksk("a", "b"), 1, "", nil)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantItem(t, fetch(t, c, table, pksk("a", "b")), map[string]string{"PK": "a", "SK": "b", "n": "#1"})
}

func TestTransactGet(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	put(t, c, table, item{"PK": str("a"), "SK": str("b"), "x": str("1"), "y": str("2")})
	g := func(key item, projection *string) types.TransactGetItem {
		return types.TransactGetItem{Get: &types.Get{TableName: &table, Key: key, ProjectionExpression: projection}}
	}
	out, err := c.TransactGetItems(context.Background(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
		g(pksk("none", "b"), nil), g(pksk("a", "b"), aws.String("x")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, out.Responses[0].Item, nil)
	wantItem(t, out.Responses[1].Item, map[string]string{"x": "1"})
	_, err = c.TransactGetItems(context.Background(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{g(item{}, nil), g(pksk("a", "b"), nil)}})
	agree(t, "a key that is not the table's in a transaction", reasonCodes(err), "TransactionCanceledException [ValidationError None]")
}
