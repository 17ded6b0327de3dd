package contract

import (
	"cmp"
	"context"
	"encoding/json"
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

// list is a route that answers pages, with the field that says how new an item is.
type list struct{ path, when string }

var allLists = []list{
	{tasks, "created_at"}, {workers, "registered_at"}, {"/api/runtime/leases", "started_at"}, {"/api/runtime/runs", "created_at"},
	{"/api/runtime/artifacts", "created_at"}, {"/api/runtime/audit", "timestamp"},
}

// item is any listed object: its id and when it was made.
type item struct {
	id   string
	when int64
}

func lists(t *testing.T, c *stacktest.Client) {
	fillLists(t, c)
	stacktest.CatchUp(t)
	for _, l := range allLists {
		t.Run(l.path, func(t *testing.T) {
			t.Run("newest first", func(t *testing.T) { newestFirst(t, l.all(t, c, l.path+"?limit=200")) })
			t.Run("pages", func(t *testing.T) { l.pages(t, c) })
			t.Run("limits", func(t *testing.T) { l.limits(t, c) })
		})
	}
	t.Run("new items come first", newItemsFirst(c))
	t.Run("pages while items are added", pagesWhileAdding(c))
	t.Run("filters", filters(c))
	t.Run("runs are the last 50 tasks", func(t *testing.T) {
		runs := stacktest.Want[[]stacktest.Task](t, c, http.StatusOK, "GET", "/api/runtime/runs", nil)
		last := stacktest.Want[[]stacktest.Task](t, c, http.StatusOK, "GET", tasks+"?limit=50", nil)
		wantShape(t, ask(t, c, "GET", "/api/runtime/runs", nil), http.StatusOK, array(obj(taskShape)))
		if len(runs) != 50 || !slices.EqualFunc(runs, last, func(a, b stacktest.Task) bool { return a.ID == b.ID }) {
			t.Errorf("%d runs are not the 50 newest tasks", len(runs))
		}
	})
}

// fillLists sees to more than 50 items on the lists that grow with tasks.
func fillLists(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 32)
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for range 60 {
		g.Go(func() error { return lifecycle(ctx, c, w.ID) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// lifecycle creates, leases and completes one task.
func lifecycle(ctx context.Context, c *stacktest.Client, worker string) error {
	var task stacktest.Task
	if err := post(ctx, c, 201, tasks, taskBody(), &task); err != nil {
		return err
	}
	var got stacktest.Granted
	if err := post(ctx, c, 201, tasks+"/"+task.ID+"/lease", object{"worker_id": worker}, &got); err != nil {
		return err
	}
	return post(ctx, c, 200, tasks+"/"+task.ID+"/complete", successBody(got.Lease.ID, "listed"), &object{})
}

// post demands a status and decodes the answer; for goroutines.
func post(ctx context.Context, c *stacktest.Client, status int, path string, body, into any) error {
	resp, err := c.Do(ctx, "POST", path, body)
	if err != nil {
		return err
	}
	if resp.Status != status {
		return fmt.Errorf("POST %s: want %d, got %s", path, status, resp)
	}
	return resp.Decode(into)
}

func (l list) items(t testing.TB, resp stacktest.Response) (all []item) {
	t.Helper()
	var raw []map[string]any
	if err := resp.Decode(&raw); err != nil {
		t.Fatal(err)
	}
	for _, o := range raw {
		id, _ := o["id"].(string)
		when, _ := o[l.when].(float64)
		all = append(all, item{id, int64(when)})
	}
	return all
}

// all walks the pages from path on.
func (l list) all(t testing.TB, c *stacktest.Client, path string) (all []item) {
	t.Helper()
	for path != "" {
		resp := ask(t, c, "GET", path, nil)
		if resp.Status != http.StatusOK {
			t.Fatalf("GET %s: %s", path, resp)
		}
		all = append(all, l.items(t, resp)...)
		next, err := resp.Next()
		if err != nil {
			t.Fatal(err)
		}
		path = next
	}
	return all
}

func newestFirst(t testing.TB, all []item) {
	t.Helper()
	if !slices.IsSortedFunc(all, func(a, b item) int { return cmp.Compare(b.when, a.when) }) {
		for i := 1; i < len(all); i++ {
			if all[i].when > all[i-1].when {
				t.Fatalf("item %d of %d is newer than the one before it: %v after %v", i, len(all), all[i], all[i-1])
			}
		}
	}
}

// pages: whatever the limit, each item comes exactly once and in the same order.
func (l list) pages(t *testing.T, c *stacktest.Client) {
	want := l.all(t, c, l.path+"?limit=200")
	for _, limit := range []int{1, 7, 50} {
		if limit == 1 && len(want) > 300 {
			continue // a page an item would take long and show nothing more
		}
		if got := l.all(t, c, fmt.Sprintf("%s?limit=%d", l.path, limit)); !slices.Equal(got, want) {
			t.Errorf("with limit %d: %d items, want %d in the same order", limit, len(got), len(want))
		}
	}
	seen := map[string]bool{}
	for _, i := range want {
		if i.id == "" || i.when == 0 || seen[i.id] {
			t.Errorf("item %+v has no id or time, or came twice", i)
		}
		seen[i.id] = true
	}
}

func (l list) limits(t *testing.T, c *stacktest.Client) {
	total := len(l.all(t, c, l.path+"?limit=200"))
	for query, most := range map[string]int{"": 50, "?limit=1": 1, "?limit=3": 3, "?limit=200": 200} {
		if l.path == "/api/runtime/audit" && query == "" {
			most = 100 // its own default
		}
		resp := ask(t, c, "GET", l.path+query, nil)
		got := len(l.items(t, resp))
		if got != min(most, total) {
			t.Errorf("%s%s: %d items of %d", l.path, query, got, total)
		}
		link := resp.Header.Get("Link")
		if l.path != "/api/runtime/runs" && (total > most) != (link != "") {
			t.Errorf("%s%s: %d of %d items, Link %q", l.path, query, got, total, link)
		}
		if link != "" && (!strings.HasPrefix(link, "<") || !strings.HasSuffix(link, `>; rel="next"`)) {
			t.Errorf("Link is %q", link)
		}
	}
}

func newItemsFirst(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorker(t, c, 4)
		task, l := leased(t, c, w.ID)
		done := complete(t, c, task.ID, successBody(l.ID, "x"))
		for path, want := range map[string]string{
			tasks: task.ID, "/api/runtime/runs": task.ID, "/api/runtime/leases": l.ID, "/api/runtime/artifacts": done.Artifact.ID, workers: w.ID,
		} {
			newestIs[struct{}](t, c, path, want)
		}
	}
}

// listedWithin is how soon a list shows a change: it reads an index, which may show
// for a moment what was.
const listedWithin = 10 * time.Second

// newestIs waits until the object with this id is the first of a list, and
// returns it.
func newestIs[T any](t testing.TB, c *stacktest.Client, path, id string) (first T) {
	t.Helper()
	stacktest.Eventually(t, listedWithin, func() error {
		resp := ask(t, c, "GET", path+"?limit=1", nil)
		var ids []struct {
			ID string `json:"id"`
		}
		if err := resp.Decode(&ids); err != nil {
			return err
		}
		if len(ids) != 1 || ids[0].ID != id {
			return fmt.Errorf("%s: the first is %v, want the newest, %s", path, ids, id)
		}
		all := make([]T, 1)
		err := resp.Decode(&all)
		first = all[0]
		return err
	})
	return first
}

// pagesWhileAdding reads the tasks page by page while others create some: what
// was there before comes exactly once.
func pagesWhileAdding(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		l := allLists[0]
		stacktest.CatchUp(t)
		before := l.all(t, c, tasks+"?limit=200")
		var stop atomic.Bool
		var g errgroup.Group
		for range 3 {
			g.Go(func() error {
				for !stop.Load() {
					if err := post(context.Background(), c, 201, tasks, taskBody(), &object{}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		times := map[string]int{}
		got := l.all(t, c, tasks+"?limit=7")
		stop.Store(true)
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		newestFirst(t, got)
		for _, i := range got {
			times[i.id]++
		}
		for _, i := range before {
			if times[i.id] != 1 {
				t.Errorf("task %s came %d times", i.id, times[i.id])
			}
		}
		for id, n := range times {
			if n > 1 {
				t.Errorf("task %s came %d times", id, n)
			}
		}
	}
}

// filters keep their promise on every page, and together give the whole.
func filters(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		for _, f := range []struct {
			path     string
			statuses []string
		}{
			{tasks, []string{"queued", "leased", "running", "completed", "failed", "dead", "cancelled"}},
			{"/api/runtime/leases", []string{"active", "expired", "released", "failed"}},
		} {
			stacktest.Eventually(t, listedWithin, func() error { return filtersAgree(t, c, f.path, f.statuses) })
		}
	}
}

func filtersAgree(t *testing.T, c *stacktest.Client, path string, statuses []string) error {
	whole, err := stacktest.All[map[string]any](t.Context(), c, path+"?limit=200")
	if err != nil {
		return err
	}
	sum := 0
	for _, status := range statuses {
		part, err := stacktest.All[map[string]any](t.Context(), c, path+"?limit=20&status="+status)
		if err != nil {
			return err
		}
		sum += len(part)
		for _, o := range part {
			if o["status"] != status {
				t.Errorf("%s?status=%s has %v", path, status, o)
			}
		}
	}
	if sum != len(whole) {
		return fmt.Errorf("%s: %d in all, %d over all statuses", path, len(whole), sum)
	}
	return nil
}

func auditRoute(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 4)
	stacktest.Want[stacktest.Worker](t, c, http.StatusOK, "POST", workers, object{"name": w.ID, "status": "online"})
	stacktest.Want[stacktest.Worker](t, c, http.StatusOK, "POST", workers, object{"name": w.ID, "capabilities": object{"max_concurrency": 4}})
	good, l1 := leased(t, c, w.ID)
	stacktest.Want[stacktest.Beat](t, c, http.StatusOK, "POST", tasks+"/"+good.ID+"/heartbeat", object{"lease_id": l1.ID})
	complete(t, c, good.ID, successBody(l1.ID, "x"))
	bad, l2 := leased(t, c, w.ID)
	complete(t, c, bad.ID, errorBody(l2.ID, "no", false))
	stacktest.Want[stacktest.Task](t, c, http.StatusOK, "POST", tasks+"/"+bad.ID+"/requeue", nil)
	dead, l3 := leased(t, c, w.ID, object{"max_attempts": 1})
	complete(t, c, dead.ID, errorBody(l3.ID, "no", true))
	retried, l4 := leased(t, c, w.ID)
	complete(t, c, retried.ID, errorBody(l4.ID, "no", true))
	stacktest.Want[object](t, c, http.StatusOK, "DELETE", workers+"/"+w.ID, nil)
	// A refused call is not a change.
	wantFailure(t, ask(t, c, "POST", tasks+"/"+good.ID+"/requeue", nil), http.StatusConflict, "")

	want := map[string][]string{
		w.ID:       {"worker_registered", "worker_updated", "worker_updated", "worker_removed"},
		good.ID:    {"task_created", "task_leased", "task_completed"},
		bad.ID:     {"task_created", "task_leased", "task_failed", "task_requeued"},
		dead.ID:    {"task_created", "task_leased", "task_dead"},
		retried.ID: {"task_created", "task_leased", "task_requeued"},
	}
	leaseOf := map[string]string{l1.ID: good.ID, l2.ID: bad.ID, l3.ID: dead.ID, l4.ID: retried.ID}
	stacktest.Eventually(t, auditWithin, func() error { return auditHas(c, want, leaseOf) })
	wantShape(t, ask(t, c, "GET", "/api/runtime/audit?limit=200", nil), http.StatusOK, array(obj(auditShape)))
}

// auditHas compares the entries of each entity, oldest first, with the actions
// that were done to it. An entry that names a lease counts for its task.
func auditHas(c *stacktest.Client, want map[string][]string, leaseOf map[string]string) error {
	all, err := stacktest.All[stacktest.Audit](context.Background(), c, "/api/runtime/audit?limit=200")
	if err != nil {
		return err
	}
	slices.Reverse(all)
	got := map[string][]string{}
	for _, e := range all {
		id := e.EntityID
		if task, ok := leaseOf[id]; ok {
			id = task
		}
		if _, ok := want[id]; ok {
			got[id] = append(got[id], e.Action)
		}
	}
	for id, actions := range want {
		if !slices.Equal(got[id], actions) {
			raw, _ := json.Marshal(got[id]) // strings encode
			return fmt.Errorf("audit of %s has %s, want %v", id, raw, actions)
		}
	}
	return nil
}
