package contract

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func workerRoutes(t *testing.T, c *stacktest.Client) {
	t.Run("defaults", func(t *testing.T) {
		name := unique("worker")
		dropAtEnd(t, c, name)
		want := obj(workerShape.also(shape{
			"id": is(name), "node_id": is(name), "url": is(""), "status": is("online"), "ip_addrs": is([]string{}), "obs_count": is(0),
			"db_sha": is(""), "active_leases": is(0), "agent_version": is("unknown"), "os_info": is(""), "install_method": is("manual"),
			"capabilities": obj(shape{"claude_cli": is(true), "max_concurrency": is(1), "labels": is([]string{})}),
		}))
		wantShape(t, ask(t, c, "POST", workers, object{"name": name}), http.StatusCreated, want)
		resp := ask(t, c, "GET", workers+"/"+name, nil)
		wantShape(t, resp, http.StatusOK, want)
		wantShape(t, resp, http.StatusOK, obj(shape{"leases": is([]any{})}))
	})
	t.Run("the original agent's body", func(t *testing.T) {
		name := unique("worker")
		dropAtEnd(t, c, name)
		body := object{"name": name, "url": "http://10.0.0.7:8001", "status": "online", "ip_addrs": []string{"10.0.0.7", "100.64.0.1"},
			"capabilities":  object{"claude_cli": true, "max_concurrency": 2, "labels": []string{"systemd", "x86_64"}},
			"agent_version": "0.4.0", "os_info": "Debian 13", "install_method": "script"}
		want := shape{}
		for field, v := range body {
			want[field] = is(v)
		}
		delete(want, "name")
		want["capabilities"] = obj(shape{"claude_cli": is(true), "max_concurrency": is(2), "labels": is([]string{"systemd", "x86_64"})})
		wantShape(t, ask(t, c, "POST", workers, body), http.StatusCreated, obj(workerShape.also(want)))
		wantShape(t, ask(t, c, "GET", workers+"/"+name, nil), http.StatusOK, obj(workerShape.also(want)))
		wantShape(t, ask(t, c, "POST", workers, body), http.StatusOK, obj(workerShape.also(want)))
	})
	t.Run("the original console's body", func(t *testing.T) {
		name := unique("worker")
		dropAtEnd(t, c, name)
		wantShape(t, ask(t, c, "POST", workers, object{"name": name, "url": "http://h:1", "status": "unknown"}), http.StatusCreated,
			obj(workerShape.also(shape{"status": is("unknown")})))
	})
	t.Run("registered again", registeredAgain(c))
	t.Run("names", workerNames(c))
	t.Run("capacity limits", func(t *testing.T) {
		for n, status := range map[int]int{0: 400, 1: 201, 32: 201, 33: 400, -1: 400} {
			name := unique("worker")
			dropAtEnd(t, c, name)
			resp := ask(t, c, "POST", workers, object{"name": name, "capabilities": object{"max_concurrency": n}})
			if resp.Status != status {
				t.Errorf("max_concurrency %d: want %d, got %s", n, status, resp)
			}
			if status == http.StatusBadRequest {
				wantFailure(t, resp, status, "invalid", "capabilities.max_concurrency")
			}
		}
	})
	t.Run("lowered capacity", func(t *testing.T) {
		w := newWorker(t, c, 3)
		leased(t, c, w.ID)
		task, l := leased(t, c, w.ID)
		stacktest.Want[stacktest.Worker](t, c, http.StatusOK, "POST", workers, object{"name": w.ID, "capabilities": object{"max_concurrency": 1}})
		if got := getWorker(t, c, w.ID); got.ActiveLeases != 2 || len(got.Leases) != 2 {
			t.Errorf("active leases must not be touched: %+v", got)
		}
		refuseLease(t, c, newTask(t, c).ID, object{"worker_id": w.ID})
		complete(t, c, task.ID, successBody(l.ID, "x"))
		refuseLease(t, c, newTask(t, c).ID, object{"worker_id": w.ID})
	})
	t.Run("removed", workerRemoved(c))
	t.Run("not there", func(t *testing.T) {
		wantFailure(t, ask(t, c, "GET", workers+"/nobody-of-that-name", nil), http.StatusNotFound, "not_found")
		wantFailure(t, ask(t, c, "DELETE", workers+"/nobody-of-that-name", nil), http.StatusNotFound, "not_found")
	})
	t.Run("heard from", func(t *testing.T) {
		w := newWorker(t, c, 2)
		time.Sleep(5 * time.Millisecond) // so that hearing it again is a later moment
		claim(t, c, w.ID, nil)
		got := getWorker(t, c, w.ID)
		if got.LastHeartbeat == nil || w.LastHeartbeat == nil || *got.LastHeartbeat < *w.LastHeartbeat || got.Status != "online" {
			t.Errorf("after a claim the worker is %+v", got)
		}
	})
}

// registeredAgain: an update keeps what it does not state and what it does not own.
func registeredAgain(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorker(t, c, 3, object{"url": "http://node:8001", "ip_addrs": []string{"10.1.1.1"}})
		_, l := leased(t, c, w.ID)
		time.Sleep(5 * time.Millisecond) // a changed registered_at would show
		resp := ask(t, c, "POST", workers, object{"name": w.ID, "status": "online", "capabilities": object{"max_concurrency": 5, "labels": []string{"gpu"}}})
		wantShape(t, resp, http.StatusOK, obj(workerShape.also(shape{
			"registered_at": is(w.RegisteredAt), "url": is("http://node:8001"), "active_leases": is(1),
			"capabilities": obj(shape{"max_concurrency": is(5), "labels": is([]string{"gpu"})}),
		})))
		got := getWorker(t, c, w.ID)
		if got.RegisteredAt != w.RegisteredAt || got.URL != "http://node:8001" || len(got.Leases) != 1 || got.Leases[0].ID != l.ID {
			t.Errorf("after a second registration: %+v", got)
		}
		resp = ask(t, c, "POST", workers, object{"name": w.ID, "url": "http://other:1", "status": "offline"})
		wantShape(t, resp, http.StatusOK, obj(shape{"url": is("http://other:1"), "status": is("offline"), "active_leases": is(1)}))
		refuseLease(t, c, newTask(t, c).ID, object{"worker_id": w.ID})
		complete(t, c, l.TaskID, successBody(l.ID, "an offline worker may still finish"))
	}
}

func workerNames(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		for _, name := range []string{
			"w", "a b", "вузол-1", "😀", "a.b", "a%2Fb", "a+b", "a?b=c", "a#b", "a:b@c", "WORKER#1", "..worker", "\"q\"", "a\\b", "null", "{id}",
			strings.Repeat("ї", 128),
		} {
			t.Run(shortName(name), func(t *testing.T) {
				dropAtEnd(t, c, name)
				wantShape(t, ask(t, c, "POST", workers, object{"name": name}), http.StatusCreated, obj(shape{"id": is(name), "node_id": is(name)}))
				wantShape(t, ask(t, c, "GET", workers+"/"+url.PathEscape(name), nil), http.StatusOK, obj(shape{"id": is(name)}))
				task, l := leased(t, c, name)
				complete(t, c, task.ID, successBody(l.ID, "x"))
				claim(t, c, name, nil)
				wantShape(t, ask(t, c, "DELETE", workers+"/"+url.PathEscape(name), nil), http.StatusOK, obj(shape{"removed": is(true), "id": is(name)}))
			})
		}
		for _, name := range []string{"", "a/b", "/", "a\tb", "a\nb", "\x7f", "a\u0085b", strings.Repeat("n", 129), strings.Repeat("ї", 129)} {
			wantFailure(t, ask(t, c, "POST", workers, object{"name": name}), http.StatusBadRequest, "invalid", "name")
		}
	}
}

func shortName(s string) string {
	if r := []rune(s); len(r) > 20 {
		return string(r[:20])
	}
	return s
}

func workerRemoved(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorker(t, c, 4)
		one, l1 := leased(t, c, w.ID)
		two, l2 := leased(t, c, w.ID, object{"max_attempts": 1})
		stacktest.Want[stacktest.Beat](t, c, http.StatusOK, "POST", tasks+"/"+two.ID+"/heartbeat", object{"lease_id": l2.ID})
		done, l3 := leased(t, c, w.ID)
		complete(t, c, done.ID, successBody(l3.ID, "x"))
		wantShape(t, ask(t, c, "DELETE", workers+"/"+w.ID, nil), http.StatusOK, obj(shape{"removed": is(true), "id": is(w.ID)}))
		wantFailure(t, ask(t, c, "DELETE", workers+"/"+w.ID, nil), http.StatusNotFound, "not_found")
		wantFailure(t, ask(t, c, "GET", workers+"/"+w.ID, nil), http.StatusNotFound, "not_found")
		for _, id := range []string{one.ID, two.ID} {
			if got := getTask(t, c, id); got.Status != "queued" || got.LeaseID != nil || got.WorkerID != nil {
				t.Errorf("a removed worker's task is %+v", got)
			}
		}
		if got := getTask(t, c, done.ID); got.Status != "completed" {
			t.Errorf("a task that was completed is %s", got.Status)
		}
		wantFailure(t, ask(t, c, "POST", tasks+"/"+one.ID+"/heartbeat", object{"lease_id": l1.ID}), http.StatusConflict, "lease_lost")
		checkRefused(t, ask(t, c, "POST", tasks+"/"+one.ID+"/complete", successBody(l1.ID, "x")), []string{"conflict", "lease_lost"})
		checkRefused(t, ask(t, c, "POST", workers+"/"+w.ID+"/claim", nil), []string{"not_found"})
		stacktest.Eventually(t, listedWithin, func() error {
			failed, err := stacktest.All[stacktest.Lease](t.Context(), c, "/api/runtime/leases?status=failed&limit=200")
			if err != nil {
				return err
			}
			found := 0
			for _, l := range failed {
				if l.ID == l1.ID || l.ID == l2.ID {
					found++
				}
			}
			if found != 2 {
				return fmt.Errorf("%d of its 2 leases ended failed", found)
			}
			return nil
		})
		w2 := newWorker(t, c, 4)
		task := lease(t, c, one.ID, w2.ID)
		complete(t, c, one.ID, successBody(task.ID, "somebody else"))
	}
}
