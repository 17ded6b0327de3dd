package dynamo_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/bloom-runtime/bloom/shared/task"
)

// BenchmarkLifecycle is create, lease, heartbeat, complete, from 8 clients, without
// HTTP and without the bucket.
func BenchmarkLifecycle(b *testing.B) {
	r := open(b)
	for n := range 8 {
		r.register(fmt.Sprintf("w%d", n), 32)
	}
	var failed atomic.Int64
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := r.create("context")
			l := r.lease(k.ID, "")
			if _, err := r.Heartbeat(b.Context(), k.ID, l.ID); err != nil {
				failed.Add(1)
			}
			if err := r.complete(task.Lease{ID: l.ID, TaskID: k.ID, WorkerID: l.WorkerID}); err != nil {
				failed.Add(1)
			}
		}
	})
	if failed.Load() > 0 {
		b.Errorf("%d calls failed", failed.Load())
	}
}
