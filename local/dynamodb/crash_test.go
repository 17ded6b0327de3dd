package dynamodb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// crashDir tells the test binary to be the process that is killed.
const crashDir = "DYNAMODB_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	if dir := os.Getenv(expireDir); dir != "" {
		fmt.Println("error:", expireUntilKilled(dir))
		os.Exit(1)
	}
	if dir := os.Getenv(serveDir); dir != "" {
		fmt.Println("error:", serveUntilKilled(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crashClients = 6

// writeUntilKilled counts, from several clients at once, and prints each number
// that was acknowledged: `client number`. A client's number is in two items of
// one transaction, or in one item, which is in an index; each is in the stream.
func writeUntilKilled(dir string) error {
	s, err := Open(dir, Options{OnFatal: func(err error) { fmt.Println("error:", err); os.Exit(1) }})
	if err != nil {
		return err
	}
	c := client(s)
	const table = "main-table"
	_, err = c.CreateTable(context.Background(), mainTable(table))
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return err
	}
	failed := make(chan error, crashClients)
	var out sync.Mutex
	for i := range crashClients {
		go func() {
			for {
				n, err := count(c, table, i)
				if err != nil {
					failed <- err
					return
				}
				out.Lock()
				fmt.Printf("%d %s\n", i, n)
				out.Unlock()
			}
		}()
	}
	return <-failed
}

func count(c *sdk.Client, table string, i int) (string, error) {
	ctx := context.Background()
	name := fmt.Sprint("client", i)
	if i%2 == 0 {
		out, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk(name, "a"), ReturnValues: types.ReturnValueUpdatedNew,
			UpdateExpression: aws.String("SET G1PK = :q ADD n :n, G1SK :n"), ExpressionAttributeValues: item{":n": num("1"), ":q": str("q")}})
		if err != nil {
			return "", err
		}
		return out.Attributes["n"].(*types.AttributeValueMemberN).Value, nil
	}
	err := transact(c, nil, addAction(table, pksk(name, "a"), 1, "", nil), addAction(table, pksk(name, "b"), 1, "", nil))
	if err != nil {
		return "", err
	}
	out, err := c.GetItem(ctx, &sdk.GetItemInput{TableName: &table, Key: pksk(name, "a")})
	if err != nil {
		return "", err
	}
	return out.Item["n"].(*types.AttributeValueMemberN).Value, nil
}

func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := make([]int, crashClients)
	const rounds = 4
	for round := range rounds {
		killOne(t, dir, 200*(round+1)+rand.IntN(400), acked)
		checkAfterCrash(t, dir, acked)
	}
	if slices.Min(acked) == 0 {
		t.Errorf("a client did nothing: %v", acked)
	}
}

// killOne has a process count, and notes what it acknowledged.
func killOne(t *testing.T, dir string, after int, acked []int) {
	t.Helper()
	killAfter(t, crashDir+"="+dir, after, func(line string) bool {
		who, n, ok := strings.Cut(line, " ")
		i, err1 := strconv.Atoi(who)
		v, err2 := strconv.Atoi(n)
		if !ok || err1 != nil || err2 != nil {
			return false
		}
		acked[i] = max(acked[i], v)
		return true
	})
}

// killAfter starts this program with a variable more in its environment, and
// kills it when it has said so many lines, each of them something that it
// acknowledged. take tells whether a line is one.
func killAfter(t *testing.T, env string, after int, take func(line string) bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), env)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(time.Minute, func() { _ = child.Process.Kill() })
	defer guard.Stop()
	lines := 0
	for in := bufio.NewReader(stdout); ; lines++ {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break // a line that is cut off was not acknowledged
		}
		if err != nil || !take(strings.TrimSuffix(line, "\n")) {
			t.Fatalf("the process said %q, %v", line, err)
		}
		if lines == after {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if lines < after {
		t.Fatalf("the process ended by itself after %d lines", lines)
	}
}

func checkAfterCrash(t *testing.T, dir string, acked []int) {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatalf("Open after a crash: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := client(s)
	const table = "main-table"
	number := func(pk, sk string) int {
		v, _ := fetch(t, c, table, pksk(pk, sk))["n"].(*types.AttributeValueMemberN)
		if v == nil {
			return 0
		}
		n, _ := strconv.Atoi(v.Value)
		return n
	}
	changes := 0
	var indexed []string
	for i := range acked {
		name := fmt.Sprint("client", i)
		a := number(name, "a")
		if a < acked[i] {
			t.Errorf("%s has %d, but %d was acknowledged", name, a, acked[i])
		}
		changes += a
		if i%2 == 0 {
			indexed = append(indexed, fmt.Sprintf("%s #%d", name, a))
			continue
		}
		b := number(name, "b")
		if a != b {
			t.Errorf("%s: half of a transaction: %d and %d", name, a, b)
		}
		changes += b
	}
	out, err := c.Query(context.Background(), &sdk.QueryInput{TableName: aws.String(table), IndexName: aws.String("G1all"),
		KeyConditionExpression: aws.String("G1PK = :q"), ExpressionAttributeValues: item{":q": str("q")}})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, it := range out.Items {
		found = append(found, plainValue(it["PK"])+" "+plainValue(it["G1SK"]))
	}
	if slices.Sort(found); !slices.Equal(found, indexed) {
		t.Errorf("the index has %v, the table %v", found, indexed)
	}
	if got, want := described(t, c, table), counted(t, s, table); !slices.Equal(got, want) {
		t.Errorf("the counts are %v, stored are %v", got, want)
	}
	if n := countRecords(t, s, table); n != changes {
		t.Errorf("the stream has %d records of %d changes", n, changes)
	}
}

func countRecords(t *testing.T, s *Server, table string) int {
	t.Helper()
	r := newReader(t, s, table)
	it := r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	for n := 0; ; {
		records, next := r.get(it, 1000)
		if len(records) == 0 {
			return n
		}
		n += len(records)
		it = next
	}
}
