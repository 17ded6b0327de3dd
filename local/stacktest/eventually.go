package stacktest

import (
	"testing"
	"time"
)

// Eventually calls check until it returns nil, pausing 20 ms between calls, and
// fails the test with the last error when within has passed.
func Eventually(t testing.TB, within time.Duration, check func() error) {
	t.Helper()
	if err := Poll(within, check); err != nil {
		t.Fatalf("not within %v: %v", within, err)
	}
}

// Poll calls check until it returns nil and returns the last error when within
// has passed.
func Poll(within time.Duration, check func() error) error {
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
