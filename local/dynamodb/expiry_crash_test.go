package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// expireDir tells the test binary to be the process that expires items until it
// is killed.
const expireDir = "DYNAMODB_EXPIRE_DIR"

// expireUntilKilled switches time to live off and on while the table holds items,
// puts items that expire at once or soon, and prints the name of each that was
// acknowledged.
func expireUntilKilled(dir string) error {
	s, err := Open(dir, Options{sweepEvery: time.Millisecond, maxShard: 100})
	if err != nil {
		return err
	}
	c := client(s)
	const table = "main-table"
	var exists *types.ResourceInUseException
	if _, err := c.CreateTable(context.Background(), mainTable(table)); err != nil && !errors.As(err, &exists) {
		return err
	}
	_ = tryTTL(c, table, "ttl", false) // refused at the first start, when it is off
	run := time.Now().UnixMilli()
	for i := 0; ; i++ {
		if i == 2*enableItems {
			if err := tryTTL(c, table, "ttl", true); err != nil {
				return err
			}
		}
		name := fmt.Sprintf("%d-%d", run, i)
		ttl := time.Now().Add(time.Duration(i%3-1) * time.Second).Unix()
		_, err := c.PutItem(context.Background(), &sdk.PutItemInput{TableName: aws.String(table),
			Item: item{"PK": str(name), "SK": str("s"), "ttl": num(fmt.Sprint(ttl))}})
		if err != nil {
			return err
		}
		fmt.Println(name)
	}
}

// TestKilledExpiring kills a process that expires items: what it acknowledged is
// in the stream, each item is there or its removal is in the stream, once, and
// the expiries are those of the items.
func TestKilledExpiring(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[string]bool{}
	for range 3 {
		expireAndKill(t, dir, 2*enableItems+rand.IntN(400), acked)
		checkExpired(t, dir, acked)
	}
}

func expireAndKill(t *testing.T, dir string, after int, acked map[string]bool) {
	t.Helper()
	killAfter(t, expireDir+"="+dir, after, func(name string) bool {
		acked[name] = true
		return !strings.HasPrefix(name, "error")
	})
}

func checkExpired(t *testing.T, dir string, acked map[string]bool) {
	t.Helper()
	// An hour ago nothing was due: what is seen is what the crash left.
	s, err := Open(dir, Options{sweepEvery: never, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
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
	waitEnabled(t, c, table)
	checkExpiries(t, s, table)
	left := map[string]int{} // by what the stream says
	r := newReader(t, s, table)
	removed := 0
	for _, sh := range r.shards(100) {
		records, _ := r.in(sh).readShard()
		for _, rec := range records {
			name := rec.Dynamodb.Keys["PK"].(*streamtypes.AttributeValueMemberS).Value
			if rec.EventName == streamtypes.OperationTypeInsert {
				left[name]++
				delete(acked, name)
				continue
			}
			removed++
			if left[name]--; left[name] != 0 || rec.UserIdentity == nil {
				t.Errorf("%s: %s, identity %v", name, rec.EventName, rec.UserIdentity)
			}
			delete(left, name)
		}
	}
	if len(acked) != 0 {
		t.Errorf("%d acknowledged items are not in the stream", len(acked))
	}
	there := partitions(t, c, table)
	for _, name := range there {
		if left[name] != 1 {
			t.Errorf("%s is there, and in the stream %d times", name, left[name])
		}
	}
	if len(there) != len(left) || removed == 0 {
		t.Errorf("%d items are there, %d by the stream, %d were removed", len(there), len(left), removed)
	}
}
