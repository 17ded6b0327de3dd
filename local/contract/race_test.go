package contract

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
	"golang.org/x/sync/errgroup"
)

// TestRaces: many clients at one task, one worker, one lease. After each, the
// system must agree with itself.
func TestRaces(t *testing.T) {
	t.Parallel()
	c := stacktest.Start(t, stacktest.Options{}).Client()
	for _, race := range []struct {
		name string
		run  func(*testing.T, *stacktest.Client)
	}{
		{"64 clients lease one task", raceForOneTask},
		{"64 leases on a worker with room for 3", raceForSlots},
		{"a mixed load never fills a worker over", raceMixed},
		{"identical completes", raceSameComplete},
		{"different completes", raceOtherComplete},
		{"remove the worker and complete", raceRemoveComplete},
		{"remove the worker and lease", raceRemoveLease},
		{"claim and lease by id", raceClaimLease},
		{"a dispatch is handed out once", raceDispatch},
		{"register again and lease", raceRegister},
		{"requeue twice", raceRequeue},
	} {
		t.Run(race.name, func(t *testing.T) {
			race.run(t, c)
			stacktest.Invariants(t, c)
		})
	}
}

// call is one request of a race.
type call struct {
	method, path string
	body         any
}

// together sends the calls at the same moment and returns the answers in their order.
func together(t testing.TB, c *stacktest.Client, calls ...call) []stacktest.Response {
	t.Helper()
	answers := make([]stacktest.Response, len(calls))
	start := make(chan struct{})
	var g errgroup.Group
	for i, cl := range calls {
		g.Go(func() (err error) {
			<-start
			answers[i], err = c.Do(context.Background(), cl.method, cl.path, cl.body)
			return err
		})
	}
	close(start)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return answers
}

// times repeats one call n times.
func times(n int, cl call) []call {
	return slices.Repeat([]call{cl}, n)
}

// tally counts the answers by status, and shows one that is neither wanted nor
// refused in the one shape.
func tally(t testing.TB, answers []stacktest.Response, allowed ...int) map[int]int {
	t.Helper()
	got := map[int]int{}
	for _, a := range answers {
		got[a.Status]++
		if !slices.Contains(allowed, a.Status) {
			t.Errorf("want one of %v, got %s", allowed, a)
		}
		if a.Status >= 400 {
			if _, err := failure(a); err != nil {
				t.Error(err)
			}
		}
	}
	return got
}

func raceForOneTask(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 32)
	for range 4 {
		task := newTask(t, c)
		got := tally(t, together(t, c, times(64, call{"POST", tasks + "/" + task.ID + "/lease", object{"worker_id": w.ID}})...), 201, 409)
		if got[201] != 1 {
			t.Errorf("%d clients were given the task", got[201])
		}
		if now := getTask(t, c, task.ID); now.Attempts != 1 || now.Status != "leased" {
			t.Errorf("the task is %+v", now)
		}
	}
}

func raceForSlots(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 3)
	var calls []call
	for range 64 {
		calls = append(calls, call{"POST", tasks + "/" + newTask(t, c).ID + "/lease", object{"worker_id": w.ID}})
	}
	if got := tally(t, together(t, c, calls...), 201, 503); got[201] != 3 {
		t.Errorf("%d leases on a worker with room for 3", got[201])
	}
	if got := getWorker(t, c, w.ID); got.ActiveLeases != 3 || len(got.Leases) != 3 {
		t.Errorf("the worker is %+v", got)
	}
}

// raceMixed has 16 clients claim, lease and complete on two workers for a while,
// and looks at the workers all the time.
func raceMixed(t *testing.T, c *stacktest.Client) {
	drain(t, c)
	small, big := newWorker(t, c, 2), newWorker(t, c, 5)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var g errgroup.Group
	var done atomic.Int64
	for i := range 16 {
		g.Go(func() error {
			for ctx.Err() == nil {
				n, err := mixedStep(c, []string{small.ID, big.ID}[i%2], i%4 < 2)
				if err != nil {
					return err
				}
				done.Add(int64(n))
			}
			return nil
		})
	}
	g.Go(func() error {
		for ctx.Err() == nil {
			for _, w := range []stacktest.Worker{small, big} {
				var got stacktest.Worker
				if err := get(context.Background(), c, workers+"/"+w.ID, &got); err != nil {
					return err
				}
				if got.ActiveLeases > w.Capabilities.MaxConcurrency || got.ActiveLeases < 0 || len(got.Leases) > w.Capabilities.MaxConcurrency {
					return fmt.Errorf("worker with room for %d holds %d, lists %d", w.Capabilities.MaxConcurrency, got.ActiveLeases, len(got.Leases))
				}
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if done.Load() == 0 {
		t.Error("not one task was completed")
	}
}

// mixedStep creates a task, then claims or leases for the worker, then completes
// what it was given. It returns how many tasks it completed.
func mixedStep(c *stacktest.Client, worker string, claims bool) (int, error) {
	ctx := context.Background()
	var task stacktest.Task
	if err := post(ctx, c, 201, tasks, taskBody(), &task); err != nil {
		return 0, err
	}
	var held []stacktest.Lease
	if claims {
		var got stacktest.Claims
		if err := post(ctx, c, 200, workers+"/"+worker+"/claim", object{"max": 2}, &got); err != nil {
			return 0, err
		}
		for _, cl := range got.Claims {
			held = append(held, cl.Lease)
		}
	} else {
		resp, err := c.Do(ctx, "POST", tasks+"/"+task.ID+"/lease", object{"worker_id": worker})
		if err != nil {
			return 0, err
		}
		var got stacktest.Granted
		switch resp.Status {
		case http.StatusCreated:
			if err := resp.Decode(&got); err != nil {
				return 0, err
			}
			held = append(held, got.Lease)
		case http.StatusServiceUnavailable, http.StatusConflict: // the worker is full, or another claimed it
			if f, err := failure(resp); err != nil {
				return 0, err
			} else if f.Code != "no_worker" && f.Code != "conflict" {
				return 0, fmt.Errorf("lease: %s", resp)
			}
		default:
			return 0, fmt.Errorf("lease: %s", resp)
		}
	}
	for _, l := range held {
		if err := post(ctx, c, 200, tasks+"/"+l.TaskID+"/complete", successBody(l.ID, "mixed"), &object{}); err != nil {
			return 0, err
		}
	}
	return len(held), nil
}

func raceSameComplete(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 4)
	for _, n := range []int{2, 32} {
		task, l := leased(t, c, w.ID)
		answers := together(t, c, times(n, call{"POST", tasks + "/" + task.ID + "/complete", successBody(l.ID, "the same")})...)
		tally(t, answers, 200)
		for _, a := range answers[1:] {
			wantSameJSON(t, answers[0].Body, a.Body)
		}
		if all := artifactsOf(t, c, task.ID); len(all) != 1 {
			t.Errorf("%d artifacts of one complete", len(all))
		}
	}
}

func raceOtherComplete(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 4)
	for _, n := range []int{2, 32} {
		task, l := leased(t, c, w.ID)
		var calls []call
		for i := range n {
			calls = append(calls, call{"POST", tasks + "/" + task.ID + "/complete", successBody(l.ID, fmt.Sprintf("answer %d", i))})
		}
		answers := together(t, c, calls...)
		if got := tally(t, answers, 200, 409); got[200] != 1 {
			t.Errorf("%d of %d different completes were accepted", got[200], n)
		}
		all := artifactsOf(t, c, task.ID)
		if len(all) != 1 {
			t.Fatalf("%d artifacts", len(all))
		}
		for i, a := range answers {
			if a.Status == http.StatusOK {
				checkDownload(t, c, all[0].ID, fmt.Sprintf("answer %d", i))
			}
		}
	}
}

// raceRemoveComplete: either the complete came first, or the task is queued.
func raceRemoveComplete(t *testing.T, c *stacktest.Client) {
	for range 8 {
		w := newWorker(t, c, 4)
		task, l := leased(t, c, w.ID)
		second, _ := leased(t, c, w.ID)
		answers := together(t, c, call{"DELETE", workers + "/" + w.ID, nil},
			call{"POST", tasks + "/" + task.ID + "/complete", successBody(l.ID, "x")})
		tally(t, answers[:1], 200)
		tally(t, answers[1:], 200, 409)
		want := map[int]string{200: "completed", 409: "queued"}[answers[1].Status]
		if got := getTask(t, c, task.ID); got.Status != want {
			t.Errorf("the complete was answered %d and the task is %s", answers[1].Status, got.Status)
		}
		if got := getTask(t, c, second.ID); got.Status != "queued" {
			t.Errorf("a removed worker's other task is %s", got.Status)
		}
	}
}

// raceRemoveLease: no lease is left on a worker that is gone.
func raceRemoveLease(t *testing.T, c *stacktest.Client) {
	for range 6 {
		w := newWorker(t, c, 16)
		var ids []string
		calls := []call{{"DELETE", workers + "/" + w.ID, nil}}
		for range 8 {
			ids = append(ids, newTask(t, c).ID)
			calls = append(calls, call{"POST", tasks + "/" + ids[len(ids)-1] + "/lease", object{"worker_id": w.ID}})
		}
		answers := together(t, c, calls...)
		tally(t, answers[:1], 200)
		tally(t, answers[1:], 201, 503)
		for _, id := range ids {
			if got := getTask(t, c, id); got.Status != "queued" {
				t.Errorf("the worker is gone and its task is %s", got.Status)
			}
		}
	}
}

func raceClaimLease(t *testing.T, c *stacktest.Client) {
	drain(t, c)
	w, other := newWorker(t, c, 32), newWorker(t, c, 32)
	for range 12 {
		task := newTask(t, c)
		answers := together(t, c, call{"POST", workers + "/" + w.ID + "/claim", object{"max": 1}},
			call{"POST", tasks + "/" + task.ID + "/lease", object{"worker_id": other.ID}})
		tally(t, answers[:1], 200)
		leases := tally(t, answers[1:], 201, 409)[201]
		var got stacktest.Claims
		if err := answers[0].Decode(&got); err != nil {
			t.Fatal(err)
		}
		if leases+len(got.Claims) != 1 {
			t.Errorf("the task was given %d times", leases+len(got.Claims))
		}
	}
}

func raceDispatch(t *testing.T, c *stacktest.Client) {
	drain(t, c)
	w := newWorker(t, c, 32)
	for range 4 {
		task := newTask(t, c)
		d := stacktest.Want[stacktest.Dispatched](t, c, http.StatusOK, "POST", tasks+"/"+task.ID+"/dispatch", object{"worker_id": w.ID})
		given := 0
		for _, a := range together(t, c, times(16, call{"POST", workers + "/" + w.ID + "/claim", object{"max": 4}})...) {
			tally(t, []stacktest.Response{a}, 200)
			given += strings.Count(string(a.Body), `"id":"`+d.LeaseID+`"`)
		}
		if given != 1 {
			t.Errorf("lease %s was handed out %d times", d.LeaseID, given)
		}
	}
}

// raceRegister: a registration must not overwrite the count of leases.
func raceRegister(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 32)
	var calls []call
	for range 16 {
		calls = append(calls, call{"POST", tasks + "/" + newTask(t, c).ID + "/lease", object{"worker_id": w.ID}},
			call{"POST", workers, object{"name": w.ID, "status": "online", "capabilities": object{"max_concurrency": 32}}})
	}
	got := tally(t, together(t, c, calls...), 200, 201)
	if got[201] != 16 || got[200] != 16 {
		t.Errorf("answers by status: %v, want 16 leases and 16 registrations", got)
	}
	if now := getWorker(t, c, w.ID); now.ActiveLeases != 16 || now.RegisteredAt != w.RegisteredAt {
		t.Errorf("the worker is %+v", now)
	}
}

func raceRequeue(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 2)
	task, l := leased(t, c, w.ID)
	complete(t, c, task.ID, errorBody(l.ID, "no", false))
	if got := tally(t, together(t, c, times(16, call{"POST", tasks + "/" + task.ID + "/requeue", nil})...), 200, 409); got[200] != 1 {
		t.Errorf("%d requeues of one failed task", got[200])
	}
	stacktest.Eventually(t, auditWithin, func() error {
		return auditHas(c, map[string][]string{task.ID: {"task_created", "task_leased", "task_failed", "task_requeued"}}, map[string]string{l.ID: task.ID})
	})
}
