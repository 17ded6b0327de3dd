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

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// linearity runs clients against a server that is killed again and again.
type linearity struct {
	server *child
	c      *sdk.Client
	table  string
	number atomic.Int64 // the last one put
	done   atomic.Int64 // operations that were answered
	single *history
	multi  *history
}

// TestLinearizable holds that what 14 clients see, while the server is killed
// with SIGKILL and started again, is what one client could see that does one
// thing after the other: on single items, and in transactions.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	const kills, each = 4, 250
	server := newChild(t)
	l := &linearity{server: server, c: sdk.NewFromConfig(config(server.client(), "http://server.test")), table: "main-table"}
	newHistory := func() *history { return &history{begun: time.Now(), ops: make(chan porcupine.Operation, 100000)} }
	l.single, l.multi = newHistory(), newHistory()
	l.prepare(t)
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	over, end := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() { l.useItems(ctx, over, i) })
	}
	for i := range 6 {
		clients.Go(func() { l.useBank(ctx, over, i) })
	}
	for range kills {
		l.until(ctx, t, l.done.Load()+each+rand.Int64N(each))
		server.kill()
		server.start()
	}
	l.until(ctx, t, l.done.Load()+each)
	end()
	clients.Wait()
	checkHistory(t, "items", registers, l.single.all())
	checkHistory(t, "transactions", bank, l.multi.all())
}

func checkHistory(t *testing.T, what string, model porcupine.Model, ops []porcupine.Operation) {
	t.Helper()
	unknown := 0
	for _, op := range ops {
		if op.Return == unanswered {
			unknown++
		}
	}
	if len(ops) < 200 || unknown == 0 {
		t.Fatalf("%s: %d operations, %d without an answer: this proves little", what, len(ops), unknown)
	}
	if result := porcupine.CheckOperationsTimeout(model, ops, 30*time.Second); result != porcupine.Ok {
		t.Errorf("%s: the history of %d operations is not linearizable: %s", what, len(ops), result)
	}
}

// until waits until so many operations were answered.
func (l *linearity) until(ctx context.Context, t *testing.T, n int64) {
	t.Helper()
	for l.done.Load() < n {
		if ctx.Err() != nil {
			t.Fatalf("only %d of %d operations in time", l.done.Load(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func (l *linearity) prepare(t *testing.T) {
	if _, err := l.c.CreateTable(context.Background(), mainTable(l.table)); err != nil {
		t.Fatal(err)
	}
	for i := range accounts {
		put(t, l.c, l.table, item{"PK": str("account"), "SK": str(fmt.Sprint(i)), "n": num("100")})
	}
}

// answered tells whether err is an answer of the server's rather than no answer.
func answered(err error) bool {
	var api smithy.APIError
	return err == nil || errors.As(err, &api)
}

// numberOf is the number in an item, 0 if there is none.
func numberOf(it item) int {
	v, _ := it["n"].(*types.AttributeValueMemberN)
	if v == nil {
		return 0
	}
	n, _ := strconv.Atoi(v.Value)
	return n
}

// useItems does single-item operations until over. An operation that got no
// answer ends a client; it goes on as another.
func (l *linearity) useItems(ctx, over context.Context, client int) {
	last := 0
	for over.Err() == nil {
		op := register{item: rand.IntN(3), verb: []string{"put", "get", "get", "swap", "swap", "delete"}[rand.IntN(6)], from: last, number: int(l.number.Add(1))}
		unknown := l.single.record(client, op, func() (any, bool) {
			got, err := l.doItem(ctx, op)
			got.unknown = !answered(err)
			last = got.was
			return got, got.unknown
		})
		l.after(over, unknown)
	}
}

// after counts an operation, or waits until the server is there again.
func (l *linearity) after(ctx context.Context, unknown bool) {
	if unknown {
		l.server.wait(ctx)
		return
	}
	l.done.Add(1)
}

func (l *linearity) doItem(ctx context.Context, op register) (got registerAnswer, err error) {
	at := pksk("register", fmt.Sprint(op.item))
	number := num(strconv.Itoa(op.number))
	switch op.verb {
	case "get":
		var out *sdk.GetItemOutput
		if out, err = l.c.GetItem(ctx, &sdk.GetItemInput{TableName: &l.table, Key: at, ConsistentRead: aws.Bool(true)}); err == nil {
			got.was = numberOf(out.Item)
		}
	case "put":
		at["n"] = number
		var out *sdk.PutItemOutput
		if out, err = l.c.PutItem(ctx, &sdk.PutItemInput{TableName: &l.table, Item: at, ReturnValues: types.ReturnValueAllOld}); err == nil {
			got.was = numberOf(out.Attributes)
		}
	case "delete":
		var out *sdk.DeleteItemOutput
		if out, err = l.c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &l.table, Key: at, ReturnValues: types.ReturnValueAllOld}); err == nil {
			got.was = numberOf(out.Attributes)
		}
	case "swap":
		condition, values := "n = :from", item{":new": number, ":from": num(strconv.Itoa(op.from))}
		if op.from == 0 {
			condition, values = "attribute_not_exists(PK)", item{":new": number}
		}
		var out *sdk.UpdateItemOutput
		out, err = l.c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &l.table, Key: at, UpdateExpression: aws.String("SET n = :new"), ConditionExpression: &condition,
			ExpressionAttributeValues: values, ReturnValues: types.ReturnValueAllOld, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
		var refused *types.ConditionalCheckFailedException
		if errors.As(err, &refused) {
			got.was, got.refused = numberOf(refused.Item), true
		} else if err == nil {
			got.was = numberOf(out.Attributes)
		}
	}
	return got, err
}

// useBank transfers and reads until over. Every second client repeats a transfer
// that got no answer, with its token, until it knows: it happens once.
func (l *linearity) useBank(ctx, over context.Context, client int) {
	for n := 0; over.Err() == nil; n++ {
		op := transfer{from: rand.IntN(accounts), to: rand.IntN(accounts), sum: 1 + rand.IntN(80)}
		token := fmt.Sprintf("%d-%d", client, n)
		unknown := l.multi.record(client, op, func() (any, bool) {
			got, err := l.doTransfer(ctx, op, token)
			for client%2 == 0 && !answered(err) && ctx.Err() == nil {
				l.server.wait(ctx)
				got, err = l.doTransfer(ctx, op, token)
			}
			got.unknown = !answered(err)
			return got, got.unknown
		})
		l.after(over, unknown)
	}
}

func (l *linearity) doTransfer(ctx context.Context, op transfer, token string) (got transferAnswer, err error) {
	account := func(i int) item { return pksk("account", fmt.Sprint(i)) }
	if op.from == op.to {
		in := &sdk.TransactGetItemsInput{}
		for i := range accounts {
			in.TransactItems = append(in.TransactItems, types.TransactGetItem{Get: &types.Get{TableName: &l.table, Key: account(i)}})
		}
		out, err := l.c.TransactGetItems(ctx, in)
		if err == nil {
			for i, r := range out.Responses {
				got.read[i] = numberOf(r.Item)
			}
		}
		return got, err
	}
	_, err = l.c.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{ClientRequestToken: &token, TransactItems: []types.TransactWriteItem{
		addAction(l.table, account(op.from), -op.sum, "n >= :sum", item{":sum": num(strconv.Itoa(op.sum))}),
		addAction(l.table, account(op.to), op.sum, "", nil),
	}})
	var cancelled *types.TransactionCanceledException
	got.refused = errors.As(err, &cancelled)
	return got, err
}

// TestCheckerFindsFaults holds that the check above can fail: histories as a
// wrong server would make them are refused, right ones are not.
func TestCheckerFindsFaults(t *testing.T) {
	t.Parallel()
	op := func(call, ret int64, input, output any) porcupine.Operation {
		return porcupine.Operation{Input: input, Call: call, Output: output, Return: ret}
	}
	put := register{verb: "put", number: 1}
	get := register{verb: "get"}
	swap := register{verb: "swap", from: 0, number: 2}
	move := transfer{from: 0, to: 1, sum: 30}
	read := func(b ...int) transferAnswer { return transferAnswer{read: balances(b)} }
	cases := []struct {
		name  string
		model porcupine.Model
		right bool
		ops   []porcupine.Operation
	}{
		{"read what was put", registers, true, []porcupine.Operation{op(1, 2, put, registerAnswer{}), op(3, 4, get, registerAnswer{was: 1})}},
		{"an acknowledged put is lost", registers, false, []porcupine.Operation{op(1, 2, put, registerAnswer{}), op(3, 4, get, registerAnswer{})}},
		{"a put without an answer is lost", registers, true, []porcupine.Operation{op(1, unanswered, put, registerAnswer{unknown: true}), op(3, 4, get, registerAnswer{})}},
		{"a put without an answer is seen late", registers, true, []porcupine.Operation{op(1, unanswered, put, registerAnswer{unknown: true}),
			op(3, 4, get, registerAnswer{}), op(5, 6, get, registerAnswer{was: 1})}},
		{"a put is seen, then not", registers, false, []porcupine.Operation{op(1, unanswered, put, registerAnswer{unknown: true}),
			op(3, 4, get, registerAnswer{was: 1}), op(5, 6, get, registerAnswer{})}},
		{"two swaps of one value", registers, false, []porcupine.Operation{op(1, 4, swap, registerAnswer{}), op(2, 3, swap, registerAnswer{})}},
		{"a swap is refused for nothing", registers, false, []porcupine.Operation{op(1, 2, swap, registerAnswer{refused: true})}},
		{"a transfer is read", bank, true, []porcupine.Operation{op(1, 2, move, transferAnswer{}), op(3, 4, transfer{}, read(70, 130, 100, 100))}},
		{"half a transfer is read", bank, false, []porcupine.Operation{op(1, 4, move, transferAnswer{}), op(2, 3, transfer{}, read(70, 100, 100, 100))}},
		{"a transfer happens twice", bank, false, []porcupine.Operation{op(1, 2, move, transferAnswer{}), op(3, 4, transfer{}, read(40, 160, 100, 100))}},
		{"two reads in different orders", bank, false, []porcupine.Operation{op(1, 9, move, transferAnswer{}),
			op(2, 3, transfer{}, read(70, 130, 100, 100)), op(4, 5, transfer{}, read(100, 100, 100, 100))}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := porcupine.CheckOperations(tc.model, tc.ops); got != tc.right {
				t.Errorf("the checker says %v", got)
			}
		})
	}
}
