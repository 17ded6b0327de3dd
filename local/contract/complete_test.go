package contract

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func completeRoute(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 32)
	t.Run("success", completeSuccess(c, w.ID))
	t.Run("error", completeError(c, w.ID))
	t.Run("again", completeAgain(c, w.ID))
	t.Run("again after the task moved on", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		body := errorBody(l.ID, "first try", true)
		first := complete(t, c, task.ID, body)
		next := lease(t, c, task.ID, w.ID)
		again := complete(t, c, task.ID, body)
		if again.Result.ID != first.Result.ID || again.Result.Status != "error" {
			t.Errorf("the same complete gave result %+v, then %+v", first.Result, again.Result)
		}
		if got := getTask(t, c, task.ID); got.Status != "leased" || deref(got.LeaseID) != next.ID {
			t.Errorf("a complete sent again changed the task to %+v", got)
		}
		complete(t, c, task.ID, successBody(next.ID, "second try"))
	})
	t.Run("metrics", func(t *testing.T) {
		for name, m := range map[string]object{
			"no tokens": {"duration_ms": 0}, "null": {"duration_ms": 1, "tokens_used": nil}, "zero": {"duration_ms": 1, "tokens_used": 0},
			"many": {"duration_ms": 3_600_000, "tokens_used": 4_000_000_000},
		} {
			task, l := leased(t, c, w.ID)
			got := complete(t, c, task.ID, with(successBody(l.ID, name), object{"metrics": m}))
			want, _ := m["tokens_used"].(int)
			if tokens := got.Result.Metrics.TokensUsed; (tokens == nil && want != 0) || (tokens != nil && *tokens != int64(want)) {
				t.Errorf("%s: tokens_used %v", name, tokens)
			}
		}
	})
	t.Run("the original agent's body with a lease id", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		body := `{"lease_id":"` + l.ID + `","status":"success","output":"hi","error_message":null,"metrics":{"duration_ms":5,"tokens_used":null}}`
		wantShape(t, ask(t, c, "POST", tasks+"/"+task.ID+"/complete", body), http.StatusOK, completedShape)
	})
	t.Run("the original agent's bodies without one", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		wantFailure(t, ask(t, c, "POST", tasks+"/"+task.ID+"/heartbeat", ""), http.StatusBadRequest, "invalid")
		body := `{"status":"success","output":"hi","error_message":null,"metrics":{"duration_ms":5,"tokens_used":null}}`
		wantFailure(t, ask(t, c, "POST", tasks+"/"+task.ID+"/complete", body), http.StatusBadRequest, "invalid", "lease_id")
		complete(t, c, task.ID, successBody(l.ID, "done"))
	})
}

var completedShape = obj(shape{"task": obj(taskShape), "artifact": orNull(obj(artifactShape)), "result": obj(resultShape)})

func completeSuccess(c *stacktest.Client, worker string) func(*testing.T) {
	return func(t *testing.T) {
		task, l := leased(t, c, worker)
		body := with(successBody(l.ID, "the answer ї 😀\n"), object{"artifact_type": "PLAN", "artifact_tags": []string{"a", "b"}})
		before := time.Now().UnixMilli()
		resp := ask(t, c, "POST", tasks+"/"+task.ID+"/complete", body)
		wantShape(t, resp, http.StatusOK, obj(shape{
			"task": obj(taskShape.also(shape{"id": is(task.ID), "status": is("completed"), "attempts": is(1)})),
			"artifact": obj(artifactShape.also(shape{
				"task_id": is(task.ID), "job_id": null, "type": is("PLAN"), "finalized": is(true), "url": text, "content": null,
				"tags": is([]string{"a", "b"}), "entity_refs": is([]string{}), "size": is(len("the answer ї 😀\n")),
			})),
			"result": obj(resultShape.also(shape{
				"task_id": is(task.ID), "worker_id": is(worker), "status": is("success"), "output": is("the answer ї 😀\n"),
				"error_message": null, "artifact_id": text, "metrics": obj(shape{"duration_ms": is(1200), "tokens_used": is(34)}),
			})),
		}))
		var got stacktest.Completed
		if err := resp.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if *got.Result.ArtifactID != got.Artifact.ID || got.Result.CompletedAt < before-1000 {
			t.Errorf("result %+v of artifact %s", got.Result, got.Artifact.ID)
		}
		if now := getTask(t, c, task.ID); now.Status != "completed" {
			t.Errorf("the task is %s", now.Status)
		}
		for _, left := range getWorker(t, c, worker).Leases {
			if left.ID == l.ID {
				t.Errorf("the worker still holds %+v", left)
			}
		}
	}
}

func completeError(c *stacktest.Client, worker string) func(*testing.T) {
	return func(t *testing.T) {
		task, l := leased(t, c, worker)
		resp := ask(t, c, "POST", tasks+"/"+task.ID+"/complete", errorBody(l.ID, "it broke", false))
		wantShape(t, resp, http.StatusOK, obj(shape{
			"task":     obj(taskShape.also(shape{"status": is("failed")})),
			"artifact": orNull(obj(artifactShape)),
			"result":   obj(resultShape.also(shape{"status": is("error"), "error_message": is("it broke"), "output": null})),
		}))
		requeued := stacktest.Want[stacktest.Task](t, c, http.StatusOK, "POST", tasks+"/"+task.ID+"/requeue", nil)
		if requeued.Status != "queued" || requeued.Attempts != 0 || requeued.LeaseID != nil || requeued.WorkerID != nil {
			t.Errorf("requeued: %+v", requeued)
		}
		wantSameTask(t, requeued, getTask(t, c, task.ID))
		l = lease(t, c, task.ID, worker)
		both := with(errorBody(l.ID, strings.Repeat("e", 16<<10), false), object{"output": "half of it"})
		got := complete(t, c, task.ID, both)
		if got.Result.Output == nil || *got.Result.Output != "half of it" || got.Artifact == nil || got.Artifact.Size != 10 {
			t.Errorf("an error with output: %+v %+v", got.Result, got.Artifact)
		}
	}
}

// completeAgain sends a complete twice: the same is answered as before, another
// is refused.
func completeAgain(c *stacktest.Client, worker string) func(*testing.T) {
	return func(t *testing.T) {
		for name, body := range map[string]func(lease string) object{
			"success":         func(l string) object { return successBody(l, "once") },
			"no output":       func(l string) object { return with(successBody(l, ""), object{"output": nil}) },
			"failed":          func(l string) object { return errorBody(l, "no", false) },
			"retryable":       func(l string) object { return errorBody(l, "later", true) },
			"all is stated":   func(l string) object { return with(successBody(l, "x"), object{"retryable": false}) },
			"a large payload": func(l string) object { return successBody(l, strings.Repeat("0123456789", 100_000)) },
		} {
			t.Run(name, func(t *testing.T) {
				task, l := leased(t, c, worker)
				path := tasks + "/" + task.ID + "/complete"
				first := ask(t, c, "POST", path, body(l.ID))
				wantShape(t, first, http.StatusOK, completedShape)
				second := ask(t, c, "POST", path, body(l.ID))
				wantShape(t, second, http.StatusOK, completedShape)
				wantSameJSON(t, first.Body, second.Body)
				spaced, err := json.MarshalIndent(body(l.ID), "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				wantSameJSON(t, first.Body, ask(t, c, "POST", path, spaced).Body)
				before := getTask(t, c, task.ID)
				for _, other := range []object{
					{"output": "another"}, {"metrics": object{"duration_ms": 99}}, {"artifact_tags": []string{"new"}},
					{"status": "error", "error_message": "changed my mind", "retryable": false},
				} {
					checkRefused(t, ask(t, c, "POST", path, with(body(l.ID), other)), []string{"conflict", "lease_lost"})
				}
				wantSameTask(t, before, getTask(t, c, task.ID))
			})
		}
	}
}

// wantSameJSON compares two bodies as values.
func wantSameJSON(t testing.TB, a, b []byte) {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	ja, _ := json.Marshal(x) // what was decoded encodes
	jb, _ := json.Marshal(y)
	if !bytes.Equal(ja, jb) {
		t.Errorf("the bodies differ:\n%.600s\n%.600s", ja, jb)
	}
}
