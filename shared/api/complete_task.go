package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// completer stores reports: the payload in the bucket first, then everything
// else in one transaction that names it.
type completer struct {
	table  *dynamo.Table
	bucket *blob.Bucket
	now    clock.Now
}

// CompleteTask is POST /api/runtime/llm-tasks/{id}/complete: 200 with the task,
// the artifact and the result. The same report sent again answers the same.
func CompleteTask(table *dynamo.Table, bucket *blob.Bucket, now clock.Now) http.Handler {
	c := completer{table, bucket, now}
	return handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		p, err := readReport(in)
		if err != nil {
			return response{}, err
		}
		t, a, err := c.complete(r.Context(), r.PathValue("id"), p)
		if err != nil {
			return response{}, err
		}
		short := viewTask(t)
		if t, err = wholePrompt(r.Context(), c.bucket, t); err != nil {
			return response{}, err
		}
		v := completeView{viewTask(t), viewArtifact(a), viewResult(a, p.Output)}
		return response{status: http.StatusOK, body: v.fit(short)}, nil
	})
}

type completeView struct {
	Task     taskView     `json:"task"`
	Artifact artifactView `json:"artifact"`
	Result   resultView   `json:"result"`
}

// fit keeps the view to what a function may answer. A report that fills a request
// leaves no room for the prompt, and perhaps not for its own escapes: then the
// prompt is cut as in lists, then the output left out, which the artifact has.
func (v completeView) fit(short taskView) completeView {
	if v.fits() {
		return v
	}
	if v.Task = short; !v.fits() {
		v.Result.Output = nil
	}
	return v
}

// maxEscaped is the most bytes that one byte of text takes in an answer, where it
// is escaped twice: a control character is \\u0001.
const maxEscaped = 7

func (v completeView) fits() bool {
	text := len(v.Task.Prompt)
	if v.Result.Output != nil {
		text += len(*v.Result.Output)
	}
	if text < maxAnswer/maxEscaped/2 {
		return true // whatever it consists of, and the rest is short
	}
	var body bytes.Buffer
	err := encode(&body, v)
	return err == nil && wireSize(body.Bytes()) <= maxAnswer
}

// maxReportTries bounds how often a report is decided again after a lost race.
const maxReportTries = 8

func (c completer) complete(ctx context.Context, id string, p report) (task.Task, task.Artifact, error) {
	for range maxReportTries {
		t, a, err := c.tryComplete(ctx, id, p)
		if !errors.Is(err, dynamo.ErrLostRace) {
			return t, a, err
		}
	}
	return task.Task{}, task.Artifact{}, fault.New(fault.Unavailable, "Too many calls change task %s at once; try again", id)
}

func (c completer) tryComplete(ctx context.Context, id string, p report) (task.Task, task.Artifact, error) {
	t, err := c.table.Task(ctx, id)
	if err != nil {
		return t, task.Artifact{}, err
	}
	s, err := decide(t, p, c.now())
	if err != nil {
		return c.replay(ctx, t, p, err)
	}
	a := artifactOf(s, p)
	if a.URL != "" {
		if err := c.bucket.Put(ctx, a.URL, []byte(p.Output), contentType(t.DesiredFormat)); err != nil {
			return t, a, bucketFault(err)
		}
	}
	return s.To, a, c.table.Report(ctx, s, a, s.From.WorkerID)
}

func decide(t task.Task, p report, now clock.Millis) (task.Step, error) {
	if p.Outcome == task.Success {
		return task.Complete(t, p.LeaseID, now)
	}
	return task.Fail(t, p.LeaseID, p.Retryable, task.DefaultRetry, rand.Float64(), now)
}

// replay answers a report that can't be taken: as before, if it is the one that
// ended its lease; else with why it can't.
func (c completer) replay(ctx context.Context, t task.Task, p report, why error) (task.Task, task.Artifact, error) {
	a, err := c.table.LeaseArtifact(ctx, t.ID, p.LeaseID)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && a.RequestHash != p.hash():
		return t, a, why
	case err != nil:
		return t, a, err
	default:
		return a.After.Restore(t), a, nil
	}
}

// artifactOf is what the report leaves behind. The key of the payload follows
// from the lease and the content: the same report finds the same object, and a
// report that loses the race does not touch the winner's.
func artifactOf(s task.Step, p report) task.Artifact {
	l := *s.Lease
	a := task.Artifact{
		ID: dynamo.ArtifactID(l.TaskID, l.N), TaskID: l.TaskID, LeaseID: l.ID, N: l.N, WorkerID: l.WorkerID,
		Type: p.Type, Tags: p.Tags, CreatedAt: s.To.UpdatedAt, Size: int64(len(p.Output)),
		ResultID: dynamo.NewID(), Outcome: p.Outcome, ErrorMessage: p.ErrorMessage, Metrics: p.Metrics,
		RequestHash: p.hash(), After: task.StateAfter(s.To),
	}
	if p.Output != "" {
		sum := sha256.Sum256([]byte(p.Output))
		a.SHA256 = hex.EncodeToString(sum[:])
		a.URL = fmt.Sprintf("artifacts/%s.%d.%s", l.TaskID, l.N, a.SHA256)
	}
	return a
}

func contentType(f task.Format) string {
	if f == task.JSON {
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}
