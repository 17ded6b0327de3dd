package stacktest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// view is everything that the API shows of tasks, leases and workers.
type view struct {
	tasks   []Task
	leases  []Lease
	workers []Worker
	stats   Stats
}

// Invariants fails the test unless the system, at rest, comes to agree with
// itself: every active lease belongs to one leased or running task and to a
// known worker, each worker's active_leases counts its leases and is within its
// capacity, and stats says the same as the lists. Counters may follow a moment
// later. overfull names workers whose capacity was lowered while they worked.
func Invariants(t testing.TB, c *Client, overfull ...string) {
	t.Helper()
	Eventually(t, 15*time.Second, func() error {
		v, err := look(context.Background(), c)
		if err != nil {
			return err
		}
		return errors.Join(v.leasesMatchTasks(), v.workersMatchLeases(overfull), v.statsMatch())
	})
}

func look(ctx context.Context, c *Client) (v view, err error) {
	if v.tasks, err = All[Task](ctx, c, "/api/runtime/llm-tasks?limit=200"); err != nil {
		return v, err
	}
	if v.leases, err = All[Lease](ctx, c, "/api/runtime/leases?limit=200"); err != nil {
		return v, err
	}
	if v.workers, err = All[Worker](ctx, c, "/api/runtime/workers?limit=200"); err != nil {
		return v, err
	}
	resp, err := c.Do(ctx, "GET", "/api/runtime/stats", nil)
	if err != nil {
		return v, err
	}
	return v, resp.Decode(&v.stats)
}

// leasesMatchTasks pairs active leases with the tasks that are held.
func (v view) leasesMatchTasks() error {
	var errs []error
	active := map[string]Lease{}
	for _, l := range v.leases {
		if l.Status == "active" {
			active[l.ID] = l
		}
	}
	for _, t := range v.tasks {
		held := t.Status == "leased" || t.Status == "running"
		if t.Status == "queued" && (t.LeaseID != nil || t.WorkerID != nil) {
			errs = append(errs, fmt.Errorf("queued task %s names a lease or a worker", t.ID))
		}
		if !held {
			continue
		}
		if t.LeaseID == nil || t.WorkerID == nil {
			errs = append(errs, fmt.Errorf("%s task %s names no lease or no worker", t.Status, t.ID))
			continue
		}
		l, ok := active[*t.LeaseID]
		delete(active, *t.LeaseID)
		if !ok || l.TaskID != t.ID || l.WorkerID != *t.WorkerID {
			errs = append(errs, fmt.Errorf("%s task %s names lease %s of %s, which is %+v", t.Status, t.ID, *t.LeaseID, *t.WorkerID, l))
		}
	}
	for _, l := range active {
		errs = append(errs, fmt.Errorf("lease %s is active but task %s does not name it", l.ID, l.TaskID))
	}
	return errors.Join(errs...)
}

// workersMatchLeases counts each worker's active leases.
func (v view) workersMatchLeases(overfull []string) error {
	var errs []error
	held := map[string]int{}
	for _, l := range v.leases {
		if l.Status == "active" {
			held[l.WorkerID]++
		}
	}
	for _, w := range v.workers {
		if w.ActiveLeases != held[w.ID] {
			errs = append(errs, fmt.Errorf("worker %s says %d active leases, the list has %d", w.ID, w.ActiveLeases, held[w.ID]))
		}
		if w.ActiveLeases > w.Capabilities.MaxConcurrency && !slices.Contains(overfull, w.ID) {
			errs = append(errs, fmt.Errorf("worker %s holds %d of %d", w.ID, w.ActiveLeases, w.Capabilities.MaxConcurrency))
		}
		delete(held, w.ID)
	}
	for id, n := range held {
		errs = append(errs, fmt.Errorf("%d active leases of worker %s, which does not exist", n, id))
	}
	return errors.Join(errs...)
}

// statsMatch compares stats with a count of the lists.
func (v view) statsMatch() error {
	var want Stats
	want.Tasks.Total, want.Tasks.ByStatus = len(v.tasks), map[string]int{}
	for _, t := range v.tasks {
		want.Tasks.ByStatus[t.Status]++
	}
	want.Leases.Total = len(v.leases)
	for _, l := range v.leases {
		if l.Status == "active" {
			want.Leases.Active++
		}
	}
	want.Workers.Total = len(v.workers)
	for _, w := range v.workers {
		if w.Status == "online" {
			want.Workers.Online++
		}
	}
	got := v.stats
	got.Tasks.ByStatus = map[string]int{}
	for s, n := range v.stats.Tasks.ByStatus { // a status that no task has may be there as 0
		if n != 0 {
			got.Tasks.ByStatus[s] = n
		}
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("stats %+v, the lists %+v", got, want)
	}
	return nil
}
