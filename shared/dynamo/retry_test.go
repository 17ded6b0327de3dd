package dynamo

import (
	"testing"
	"time"
)

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for attempt := range maxAttempts - 1 {
		var longest time.Duration
		for range 1000 {
			d, err := backoff(attempt, nil)
			if err != nil || d <= 0 || d > maxBackoff {
				t.Fatalf("attempt %d waits %v, %v", attempt, d, err)
			}
			longest = max(longest, d)
		}
		if want := min(firstBackoff<<attempt, maxBackoff); longest > want || longest < want/2 {
			t.Errorf("attempt %d waits up to %v, want %v", attempt, longest, want)
		}
		sum += longest
	}
	if sum > callTimeout {
		t.Errorf("the waits of one call take up to %v, and the call may take %v", sum, callTimeout)
	}
	if d, err := backoff(1000, nil); err != nil || d > maxBackoff {
		t.Errorf("%v %v", d, err)
	}
}
