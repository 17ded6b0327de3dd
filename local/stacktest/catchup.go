package stacktest

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
)

var lag = sync.OnceValues(func() (time.Duration, error) {
	f, err := dynamodb.ParseFaults(os.Getenv("BLOOM_FAULTS"))
	return max(f.IndexLag, f.TableLag), err
})

// CatchUp returns once every index shows all that was done before: an index of
// DynamoDB may show for a moment what was, which BLOOM_FAULTS turns on and bounds.
// It stands before what chooses by an index and cannot be asked again until it is
// right (a claim, a lease without a worker's name). What only reads is polled
// instead, with Eventually.
func CatchUp(t testing.TB) {
	t.Helper()
	d, err := lag()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
}
