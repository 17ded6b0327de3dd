package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// reopen opens the server in dir with faults; its close ends it before the test does.
func reopen(t testing.TB, dir string, opts Options) (c *sdk.Client, closed func()) {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return client(s), func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// prepared is a directory with the main table and one item, a/1.
func prepared(t testing.TB) (dir, table string) {
	t.Helper()
	dir = t.TempDir()
	c, closed := reopen(t, dir, Options{})
	defer closed()
	table = createMain(t, c)
	put(t, c, table, item{"PK": str("a"), "SK": str("1"), "n": num("1")})
	return dir, table
}

// retrying is a client that tries again as an application of AWS's SDK does, but faster.
func retrying(s *Server, attempts int) *sdk.Client {
	cfg := config(s.HTTPClient(), "http://in.process")
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"TransactionConflictException": {}}})
		})
	}
	return sdk.NewFromConfig(cfg)
}

// everyCall is one call of each kind, all of them on the item a/1.
func everyCall(table string) []struct {
	name string
	call func(context.Context, *sdk.Client) error
} {
	key := pksk("a", "1")
	changed := item{"PK": str("a"), "SK": str("1"), "n": num("2")}
	type call = func(context.Context, *sdk.Client) error
	return []struct {
		name string
		call call
	}{
		{"PutItem", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: changed})
			return err
		}},
		{"UpdateItem", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: key, UpdateExpression: aws.String("ADD n :n"),
				ExpressionAttributeValues: item{":n": num("1")}})
			return err
		}},
		{"DeleteItem", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: key})
			return err
		}},
		{"BatchWriteItem", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
				table: {{PutRequest: &types.PutRequest{Item: changed}}}}})
			return err
		}},
		{"TransactWriteItems", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
				{Put: &types.Put{TableName: &table, Item: changed}}}})
			return err
		}},
		{"GetItem", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.GetItem(ctx, &sdk.GetItemInput{TableName: &table, Key: key})
			return err
		}},
		{"BatchGetItem", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: {Keys: []item{key}}}})
			return err
		}},
		{"TransactGetItems", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.TransactGetItems(ctx, &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
				{Get: &types.Get{TableName: &table, Key: key}}}})
			return err
		}},
		{"Query", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.Query(ctx, &sdk.QueryInput{TableName: &table, KeyConditionExpression: aws.String("PK = :p"),
				ExpressionAttributeValues: item{":p": str("a")}})
			return err
		}},
		{"Scan", func(ctx context.Context, c *sdk.Client) error {
			_, err := c.Scan(ctx, &sdk.ScanInput{TableName: &table})
			return err
		}},
	}
}

func TestNoFaults(t *testing.T) {
	t.Parallel()
	for _, f := range []Faults{{}, {Seed: 7}} {
		s := openServer(t, t.TempDir(), Options{Faults: f})
		if s.faults != nil {
			t.Errorf("%+v turns something on", f)
		}
	}
	for _, f := range []Faults{{Throttles: 1.1}, {LostAnswers: -0.1}, {Latency: -1}, {IndexLag: time.Hour}} {
		if s, err := Open(t.TempDir(), Options{Faults: f}); err == nil {
			t.Errorf("%+v was taken", f)
			_ = s.Close()
		}
	}
}

// TestRefused: what always happens at the rate 1, and that nothing was changed by it.
func TestRefused(t *testing.T) {
	t.Parallel()
	dir, table := prepared(t)
	const transaction = "TransactionCanceledException"
	for _, tc := range []struct {
		fault      string
		on         Faults
		code, text string
		reason     string            // in transactions
		meets      func(string) bool // which calls
	}{
		{"throttles", Faults{Throttles: 1}, "ThrottlingException", textOnDemand, "ThrottlingError", func(string) bool { return true }},
		{"conflicts", Faults{Conflicts: 1}, "TransactionConflictException", textConflict, "TransactionConflict", func(call string) bool {
			return slices.Contains([]string{"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "TransactGetItems"}, call)
		}},
	} {
		c, closed := reopen(t, dir, Options{Faults: tc.on})
		for _, call := range everyCall(table) {
			if !tc.meets(call.name) {
				continue
			}
			err := call.call(t.Context(), c)
			if !strings.HasPrefix(call.name, "Transact") {
				wantError(t, err, tc.code, tc.text)
				continue
			}
			wantError(t, err, transaction, "["+tc.reason+"]")
			var cancelled *types.TransactionCanceledException
			if !errors.As(err, &cancelled) || aws.ToString(cancelled.CancellationReasons[0].Code) != tc.reason ||
				aws.ToString(cancelled.CancellationReasons[0].Message) != tc.text {
				t.Errorf("%s of %s: %+v", tc.fault, call.name, cancelled)
			}
		}
		closed()
	}
	c, closed := reopen(t, dir, Options{})
	defer closed()
	wantItem(t, fetch(t, c, table, pksk("a", "1")), map[string]string{"PK": "a", "SK": "1", "n": "#1"})
}

// TestRefusalOnTheWire: the names, the status and the members as they are sent.
func TestRefusalOnTheWire(t *testing.T) {
	t.Parallel()
	dir, table := prepared(t)
	s := openServer(t, dir, Options{Faults: Faults{Throttles: 1}})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	status, body := send(t, server.URL, "PutItem", `{"TableName":"`+table+`","Item":{"PK":{"S":"a"},"SK":{"S":"1"}}}`)
	var got struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Reasons []struct {
			Reason   string `json:"reason"`
			Resource string `json:"resource"`
		} `json:"throttlingReasons"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusBadRequest || got.Type != "com.amazonaws.dynamodb.v20120810#ThrottlingException" || got.Message != textOnDemand ||
		len(got.Reasons) != 1 || got.Reasons[0].Reason != "TableWriteKeyRangeThroughputExceeded" ||
		got.Reasons[0].Resource != "arn:aws:dynamodb:us-east-1:000000000000:table/"+table {
		t.Errorf("%d %s", status, body)
	}
}

func send(t testing.TB, url, operation, body string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", targetDynamo+operation)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// TestRetriesSucceed: each kind now and then, and a client that tries again.
func TestRetriesSucceed(t *testing.T) {
	t.Parallel()
	for _, f := range []Faults{{Throttles: 0.3}, {Conflicts: 0.3}, {LostAnswers: 0.3}, {Latency: time.Millisecond}} {
		f.Seed = 1
		s := openServer(t, t.TempDir(), Options{Faults: f})
		c := retrying(s, 20)
		table := createMain(t, c)
		for n := range 50 {
			put(t, c, table, item{"PK": str("p"), "SK": str(fmt.Sprint(n))})
			if got := fetch(t, c, table, pksk("p", fmt.Sprint(n))); got == nil {
				t.Errorf("%v: item %d is not there", f, n)
			}
		}
	}
}

// TestSameSeedSameFaults, with the calls one after the other.
func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	outcomes := func(seed uint64, more Faults) (got []string) {
		f := Faults{Seed: seed, Throttles: 0.2, Conflicts: 0.2, LostAnswers: 0.2, Latency: more.Latency}
		c, _ := clientWith(t, f)
		table := createMain(t, c)
		for range 6 {
			for _, call := range everyCall(table) {
				got = append(got, outcome(call.call(t.Context(), c)))
			}
		}
		return got
	}
	first := outcomes(7, Faults{})
	if again := outcomes(7, Faults{}); !slices.Equal(first, again) {
		t.Errorf("the same seed gave\n%v, then\n%v", first, again)
	}
	if beside := outcomes(7, Faults{Latency: time.Millisecond}); !slices.Equal(first, beside) {
		t.Errorf("another kind changed the draws from\n%v to\n%v", first, beside)
	}
	if other := outcomes(8, Faults{}); slices.Equal(first, other) {
		t.Errorf("another seed gave the same: %v", first)
	}
}

func clientWith(t testing.TB, f Faults) (*sdk.Client, *Server) {
	t.Helper()
	s := openServer(t, t.TempDir(), Options{Faults: f})
	return client(s), s
}

func outcome(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &api):
		return api.ErrorCode() + api.ErrorMessage()
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	}
	return err.Error()
}

// TestLostAnswers: what was lost was done.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	dir, table := prepared(t)
	c, closed := reopen(t, dir, Options{Faults: Faults{LostAnswers: 1}})
	seen := map[string]int{}
	const n = 40
	for i := range n {
		_, err := c.PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: pksk("lost", fmt.Sprint(i))})
		seen[outcome(err)]++
	}
	closed()
	if seen["reset"] == 0 || seen["InternalServerErrorInternal server error"] == 0 || len(seen) != 2 {
		t.Errorf("answers: %v", seen)
	}
	c, closed = reopen(t, dir, Options{})
	defer closed()
	for i := range n {
		if fetch(t, c, table, pksk("lost", fmt.Sprint(i))) == nil {
			t.Errorf("the put %d, whose answer was lost, was not carried out", i)
		}
	}
}

// TestLostAnswersOverTCP: a 500, or a connection that ends without an answer.
func TestLostAnswersOverTCP(t *testing.T) {
	t.Parallel()
	dir, table := prepared(t)
	s := openServer(t, dir, Options{Faults: Faults{LostAnswers: 1}})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c := tcpClient(server.URL)
	broken, failed := 0, 0
	for range 40 {
		_, err := c.GetItem(t.Context(), &sdk.GetItemInput{TableName: &table, Key: pksk("a", "1")})
		var api smithy.APIError
		switch {
		case err == nil:
			t.Fatal("an answer came")
		case errors.As(err, &api):
			wantError(t, err, "InternalServerError", "Internal server error")
			failed++
		case errors.Is(err, io.EOF):
			broken++
		default:
			t.Fatal(err)
		}
	}
	if broken == 0 || failed == 0 {
		t.Errorf("%d broken connections, %d failures", broken, failed)
	}
}

// TestLostTransactionIsDoneOnce: the SDK sends its token again.
func TestLostTransactionIsDoneOnce(t *testing.T) {
	t.Parallel()
	s := openServer(t, t.TempDir(), Options{Faults: Faults{LostAnswers: 0.5, Throttles: 0.2, Conflicts: 0.2, Overlaps: true}})
	c := retrying(s, 50)
	table := createMain(t, c)
	const n = 40
	for range n {
		in := &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Update: &types.Update{TableName: &table, Key: pksk("c", "c"),
			UpdateExpression: aws.String("ADD n :n"), ExpressionAttributeValues: item{":n": num("1")}}}}}
		for {
			_, err := c.TransactWriteItems(t.Context(), in)
			var cancelled *types.TransactionCanceledException
			if err == nil {
				break
			}
			if !errors.As(err, &cancelled) {
				t.Fatal(err)
			}
		}
	}
	wantItem(t, fetch(t, c, table, pksk("c", "c")), map[string]string{"PK": "c", "SK": "c", "n": fmt.Sprint("#", n)})
}

func TestLatency(t *testing.T) {
	t.Parallel()
	dir, table := prepared(t)
	c, closed := reopen(t, dir, Options{Faults: Faults{Latency: time.Minute}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("late", "1")})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the caller's time", err)
	}
	closed()
	c, closed = reopen(t, dir, Options{Faults: Faults{Latency: 30 * time.Millisecond}})
	defer closed()
	var longest time.Duration
	for range 20 {
		start := time.Now()
		if fetch(t, c, table, pksk("late", "1")) != nil {
			t.Fatal("a call that was given up while it waited was carried out")
		}
		longest = max(longest, time.Since(start))
	}
	if longest < 5*time.Millisecond {
		t.Errorf("20 calls with up to 30 ms of latency: the longest took %v", longest)
	}
}
