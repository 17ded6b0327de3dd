package dynamodb

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processorTime is what this process has used so far.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// script is a list of calls: an operation and its body a line, with names in the
// body that stand for ids.
func script(tb testing.TB, s *Server, lines string, ids ...string) {
	tb.Helper()
	replace := strings.NewReplacer(ids...)
	for line := range strings.Lines(lines) {
		op, body, _ := strings.Cut(strings.TrimSpace(line), " ")
		status, answer, err := s.serve(tb.Context(), targetDynamo+op, replace.Replace(body))
		if err != nil || status != http.StatusOK {
			tb.Errorf("%s: %d %s, %v", op, status, answer, err)
		}
	}
}

// BenchmarkLifecycle sends the calls that the tasks' table gets for a task that
// is created, leased, kept alive and completed, without an SDK around them.
func BenchmarkLifecycle(b *testing.B) {
	calls, err := os.ReadFile("testdata/lifecycle.txt")
	if err != nil {
		b.Fatal(err)
	}
	setup, lifecycle, _ := strings.Cut(string(calls), "\n\n")
	_, s := newClient(b)
	script(b, s, setup)
	before := processorTime(b)
	run(b, func(n int64) error {
		id := func(kind int) string { return fmt.Sprintf("01a20daa-996c-%04d-9ac2-%012d", kind, n) }
		script(b, s, lifecycle, "$task", id(1), "$lease", id(2), "$token1", id(3), "$token2", id(4),
			"$worker", fmt.Sprintf("w%d", 4+n%4))
		return nil
	})
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}
