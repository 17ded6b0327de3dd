package dynamo_test

import (
	"context"
	"slices"
	"testing"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// walk reads all pages of a list.
func walk[T any](t *testing.T, limit int, page func(context.Context, dynamo.Page) ([]T, string, error)) []T {
	t.Helper()
	var all []T
	p := dynamo.Page{Limit: limit}
	for range 100 {
		part, next, err := page(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) > limit {
			t.Fatalf("a page of %d, limit %d", len(part), limit)
		}
		all = append(all, part...)
		if next == "" {
			return all
		}
		p.Cursor = next
	}
	t.Fatal("the list does not end")
	return nil
}

func taskIDs(tasks []task.Task) []string {
	ids := make([]string, len(tasks))
	for n, k := range tasks {
		ids[n] = k.ID
	}
	return ids
}

func TestListsShowEveryTaskOnceNewestFirst(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 32)
	want := map[task.Status][]string{}
	var all []string
	for n := range 23 {
		k := r.create("x")
		status := []task.Status{task.Queued, task.Leased, task.Running, task.Completed}[n%4]
		if status != task.Queued {
			l := r.lease(k.ID, "w")
			switch status {
			case task.Running:
				if _, err := r.Heartbeat(t.Context(), k.ID, l.ID); err != nil {
					t.Fatal(err)
				}
			case task.Completed:
				if err := r.complete(l); err != nil {
					t.Fatal(err)
				}
			}
		}
		all = append([]string{k.ID}, all...)
		want[status] = append([]string{k.ID}, want[status]...)
	}
	for _, limit := range []int{1, 4, 7, 23, 50} {
		got := walk(t, limit, func(ctx context.Context, p dynamo.Page) ([]task.Task, string, error) { return r.Tasks(ctx, "", p) })
		if !slices.Equal(taskIDs(got), all) {
			t.Errorf("limit %d: all tasks\n%v, want\n%v", limit, taskIDs(got), all)
		}
		for status, ids := range want {
			got := walk(t, limit, func(ctx context.Context, p dynamo.Page) ([]task.Task, string, error) { return r.Tasks(ctx, status, p) })
			if !slices.Equal(taskIDs(got), ids) {
				t.Errorf("limit %d: %s tasks\n%v, want\n%v", limit, status, taskIDs(got), ids)
			}
		}
	}
}

func TestListsOfLeasesAndArtifacts(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 32)
	var active, released []string
	for n := range 12 {
		l := r.lease(r.create("x").ID, "w")
		if n%2 == 0 {
			active = append([]string{l.ID}, active...)
			continue
		}
		released = append([]string{l.ID}, released...)
		if err := r.complete(l); err != nil {
			t.Fatal(err)
		}
	}
	for status, want := range map[task.LeaseStatus][]string{task.LeaseActive: active, task.LeaseReleased: released, task.LeaseExpired: {}} {
		got := walk(t, 5, func(ctx context.Context, p dynamo.Page) ([]task.Lease, string, error) {
			return r.Leases(ctx, status, p)
		})
		if ids := leaseIDs(got); !slices.Equal(ids, want) {
			t.Errorf("%s leases %v, want %v", status, ids, want)
		}
	}
	all := walk(t, 5, func(ctx context.Context, p dynamo.Page) ([]task.Lease, string, error) { return r.Leases(ctx, "", p) })
	if len(all) != 12 {
		t.Errorf("%d leases, want 12", len(all))
	}
	artifacts := walk(t, 4, r.Artifacts)
	if len(artifacts) != 6 {
		t.Errorf("%d artifacts, want 6", len(artifacts))
	}
	one := walk(t, 4, func(ctx context.Context, p dynamo.Page) ([]task.Artifact, string, error) {
		return r.TaskArtifacts(ctx, artifacts[0].TaskID, p)
	})
	if len(one) != 1 || one[0].ID != artifacts[0].ID {
		t.Errorf("artifacts of one task: %+v", one)
	}
}

func leaseIDs(leases []task.Lease) []string {
	ids := make([]string, len(leases))
	for n, l := range leases {
		ids[n] = l.ID
	}
	return ids
}

func TestOneTasksArtifactsArePaged(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	k := r.create("x")
	for range 5 {
		l := r.lease(k.ID, "w")
		s, err := task.Fail(r.task(k.ID), l.ID, false, task.DefaultRetry, 0, r.clock.now())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Report(t.Context(), s, artifact(s), "w"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Transition(t.Context(), k.ID, "tester", task.Requeue); err != nil {
			t.Fatal(err)
		}
	}
	got := walk(t, 2, func(ctx context.Context, p dynamo.Page) ([]task.Artifact, string, error) {
		return r.TaskArtifacts(ctx, k.ID, p)
	})
	for n, a := range got {
		if a.N != 5-n {
			t.Errorf("artifact %d is of lease %d", n, a.N)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d artifacts, want 5", len(got))
	}
}

func TestCursorsFitOnlyTheirList(t *testing.T) {
	t.Parallel()
	r := open(t)
	for range 3 {
		r.create("x")
	}
	_, next, err := r.Tasks(t.Context(), "", dynamo.Page{Limit: 1})
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	for _, cursor := range []string{next, "abc", "%%", "dGFza3M6"} {
		_, _, err := r.Leases(t.Context(), "", dynamo.Page{Limit: 1, Cursor: cursor})
		wantCode(t, err, fault.Invalid)
	}
}

func TestRaisingPartitionsLosesNothing(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 32)
	for range 10 {
		r.create("x")
	}
	r.Table = r.another(5)
	for range 10 {
		r.create("x")
	}
	if got := walk(t, 6, func(ctx context.Context, p dynamo.Page) ([]task.Task, string, error) { return r.Tasks(ctx, "", p) }); len(got) != 20 {
		t.Errorf("%d tasks, want 20", len(got))
	}
	if claims := append(r.claim("w", 16), r.claim("w", 16)...); len(claims) != 20 {
		t.Errorf("claimed %d, want 20", len(claims))
	}
}
