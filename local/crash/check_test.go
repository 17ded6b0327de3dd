package crash

import (
	"testing"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// TestLedgerSeesLosses: a check that cannot fail is worth nothing.
func TestLedgerSeesLosses(t *testing.T) {
	t.Parallel()
	lease, other, w, v := "lease", "other", "w", "v"
	active := map[string]stacktest.Lease{
		lease: {ID: lease, TaskID: "t", WorkerID: w, Status: "active", ExpiresAt: 100},
		other: {ID: other, TaskID: "t", WorkerID: v, Status: "active"},
	}
	held1 := func(status string) stacktest.Task {
		return stacktest.Task{ID: "t", Status: status, LeaseID: &lease, WorkerID: &w}
	}
	taken := stacktest.Task{ID: "t", Status: "leased", LeaseID: &other, WorkerID: &v}
	rests := func(status string) stacktest.Task { return stacktest.Task{ID: "t", Status: status} }
	pending := func(action string, to state) *op { return &op{action: action, outcome: to, lease: lease} }
	for name, tc := range map[string]struct {
		record record
		task   stacktest.Task
		claims map[string]int
		fine   bool
	}{
		"queued":                            {record{state: queued}, rests("queued"), nil, true},
		"queued, taken by nobody's wish":    {record{state: queued}, taken, nil, false},
		"queued, taken by a silent claim":   {record{state: queued}, taken, map[string]int{v: 1}, true},
		"queued, taken by a silent lease":   {record{state: queued}, taken, nil, true},
		"held":                              {record{state: held, lease: lease, worker: w}, held1("leased"), nil, true},
		"held, lease forgotten":             {record{state: held, lease: "gone", worker: w}, rests("queued"), nil, false},
		"held, back in the queue":           {record{state: held, lease: lease, worker: w}, rests("queued"), nil, false},
		"held, given to another":            {record{state: held, lease: lease, worker: w}, taken, map[string]int{v: 1}, false},
		"heartbeat forgotten":               {record{state: held, lease: lease, worker: w, beat: 100}, held1("leased"), nil, false},
		"heartbeat kept":                    {record{state: held, lease: lease, worker: w, beat: 100}, held1("running"), nil, true},
		"heartbeat's expiry forgotten":      {record{state: held, lease: lease, worker: w, beat: 101}, held1("running"), nil, false},
		"silent complete done":              {record{state: held, lease: lease, worker: w, pending: pending("complete", completed)}, rests("completed"), nil, true},
		"silent complete not done":          {record{state: held, lease: lease, worker: w, pending: pending("complete", completed)}, held1("leased"), nil, true},
		"silent complete, but failed":       {record{state: held, lease: lease, worker: w, pending: pending("complete", completed)}, rests("failed"), nil, false},
		"silent last retry":                 {record{state: held, lease: lease, worker: w, pending: pending("retry", queued)}, rests("dead"), nil, true},
		"completed":                         {record{state: completed, lease: lease, worker: w}, rests("completed"), nil, true},
		"completed, forgotten":              {record{state: completed, lease: lease, worker: w}, held1("running"), nil, false},
		"completed, then queued":            {record{state: completed, lease: lease, worker: w}, rests("queued"), nil, false},
		"failed, silent requeue and claim":  {record{state: failed, lease: lease, worker: w, pending: pending("requeue", queued)}, taken, map[string]int{v: 1}, true},
		"failed, requeued by nobody's wish": {record{state: failed, lease: lease, worker: w}, rests("queued"), nil, false},
	} {
		l := newLedger()
		if name == "queued, taken by a silent lease" {
			l.asks[ask{"t", v}] = true
		}
		for worker, n := range tc.claims {
			l.claims[worker] = n
		}
		if err := l.check("t", &tc.record, tc.task, active); (err == nil) != tc.fine {
			t.Errorf("%s: fine is %v, got %v", name, tc.fine, err)
		}
	}
}
