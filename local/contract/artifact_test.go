package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func artifactRoutes(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 8)
	for name, output := range map[string]string{
		"short":            "hello",
		"letters":          "Привіт, 世界 😀 \u2028 </script> \" \\ \r\n\t",
		"JSON":             `{"a":[1,2,{"b":null}]}`,
		"1 KiB":            strings.Repeat("x", 1024),
		"300 KiB":          strings.Repeat("0123456789abcde\n", 300*64),
		"just under 5 MB":  strings.Repeat("y", 4_999_999),
		"control letters":  "\x01\x02\x1b[31mred\x1b[0m\x7f",
		"a line of base64": strings.Repeat("QUJD", 2000),
	} {
		t.Run(name, func(t *testing.T) { artifactKept(t, c, w.ID, output) })
	}
	t.Run("no output", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		got := complete(t, c, task.ID, with(successBody(l.ID, ""), object{"output": nil}))
		if got.Result.Output != nil {
			t.Errorf("output %q", *got.Result.Output)
		}
		if got.Artifact != nil && got.Artifact.Size != 0 {
			t.Errorf("an artifact of nothing: %+v", got.Artifact)
		}
	})
	t.Run("too large", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		resp := ask(t, c, "POST", tasks+"/"+task.ID+"/complete", successBody(l.ID, strings.Repeat("z", 5_300_000)))
		if _, err := failure(resp); err != nil || (resp.Status != http.StatusBadRequest && resp.Status != http.StatusRequestEntityTooLarge) {
			t.Errorf("%v %s", err, resp)
		}
		if got := getTask(t, c, task.ID); got.Status != "leased" {
			t.Errorf("the task is %s", got.Status)
		}
		complete(t, c, task.ID, successBody(l.ID, "smaller"))
	})
	t.Run("each attempt has its own", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		first := complete(t, c, task.ID, with(errorBody(l.ID, "half", true), object{"output": "first half"}))
		l = lease(t, c, task.ID, w.ID)
		second := complete(t, c, task.ID, successBody(l.ID, "the whole"))
		all := artifactsOf(t, c, task.ID)
		if len(all) != 2 || all[0].ID != second.Artifact.ID || all[1].ID != first.Artifact.ID {
			t.Errorf("artifacts of two attempts, newest first: %+v", all)
		}
		checkDownload(t, c, first.Artifact.ID, "first half")
		checkDownload(t, c, second.Artifact.ID, "the whole")
	})
	t.Run("not there", func(t *testing.T) {
		for _, id := range []string{unknownID, unknownID + ".1", "x", newTask(t, c).ID + ".1", newTask(t, c).ID} {
			wantFailure(t, ask(t, c, "GET", "/api/runtime/artifacts/"+id, nil), http.StatusNotFound, "not_found")
		}
		if all := artifactsOf(t, c, newTask(t, c).ID); len(all) != 0 {
			t.Errorf("a task without artifacts has %+v", all)
		}
	})
	wantShape(t, ask(t, c, "GET", "/api/runtime/artifacts", nil), http.StatusOK, array(obj(artifactShape)))
}

func artifactsOf(t testing.TB, c *stacktest.Client, task string) []stacktest.Artifact {
	t.Helper()
	return stacktest.Want[[]stacktest.Artifact](t, c, http.StatusOK, "GET", "/api/runtime/artifacts?task_id="+task, nil)
}

// artifactKept completes a task with an output and finds it everywhere it shows.
func artifactKept(t *testing.T, c *stacktest.Client, worker, output string) {
	task, l := leased(t, c, worker)
	got := complete(t, c, task.ID, successBody(l.ID, output))
	a := got.Artifact
	sum := sha256.Sum256([]byte(output))
	if a == nil || a.Size != int64(len(output)) || a.SHA256 != hex.EncodeToString(sum[:]) || a.Content != nil || a.URL == nil ||
		a.Type != "LLM_RESULT" || !a.Finalized {
		t.Fatalf("artifact of %d bytes: %+v", len(output), a)
	}
	if !strings.HasPrefix(*a.URL, "artifacts/"+task.ID+".") {
		t.Errorf("url must be the object's key: %q", *a.URL)
	}
	if got.Result.Output == nil || *got.Result.Output != output {
		t.Errorf("the result's output is not what was sent")
	}
	all := artifactsOf(t, c, task.ID)
	if len(all) != 1 || all[0].ID != a.ID || all[0].SHA256 != a.SHA256 || all[0].Content != nil {
		t.Errorf("artifacts of the task: %+v", all)
	}
	checkDownload(t, c, a.ID, output)
}

// checkDownload follows download_url, as a client without a key does.
func checkDownload(t testing.TB, c *stacktest.Client, id, want string) {
	t.Helper()
	resp := ask(t, c, "GET", "/api/runtime/artifacts/"+id, nil)
	wantShape(t, resp, http.StatusOK, obj(artifactShape.also(shape{"download_url": matching(`^https?://`), "id": is(id)})))
	var a stacktest.Artifact
	if err := resp.Decode(&a); err != nil {
		t.Fatal(err)
	}
	got, err := stacktest.Download(t.Context(), c, a)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("downloaded %d bytes, want the %d that were sent", len(got), len(want))
	}
}
