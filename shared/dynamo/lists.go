package dynamo

import (
	"context"
	"sort"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// Tasks reads a page of the tasks, newest first; with a status, of those in it.
func (t *Table) Tasks(ctx context.Context, status task.Status, p Page) (tasks []task.Task, next string, err error) {
	var items []item
	l := t.lists("tasks", taskLists(status)...)
	switch {
	case status == "":
		items, next, err = t.page(ctx, l, p)
	case status.Held():
		items, next, err = t.filtered(ctx, l, t.actives(func(a active) entry {
			return entry{key{taskPK(a.taskID), skTask}, a.taskID}
		}), p, inStatus(string(status)))
	default:
		items, next, err = t.filtered(ctx, l, t.from(l), p, inStatus(string(status)))
	}
	for _, i := range items {
		tasks = append(tasks, decodeTask(i))
	}
	return tasks, next, err
}

// taskLists names the lists that hold the tasks of a status; "" is any.
func taskLists(status task.Status) []string {
	if status != "" {
		return []string{"TASK#" + taskClass(status)}
	}
	var prefixes []string
	for _, c := range listClasses {
		prefixes = append(prefixes, "TASK#"+c)
	}
	return prefixes
}

func inStatus(s string) func(item) bool {
	return func(i item) bool { return i.str("status") == s }
}

// Leases reads a page of the leases, newest first; with a status, of those in it.
func (t *Table) Leases(ctx context.Context, status task.LeaseStatus, p Page) (leases []task.Lease, next string, err error) {
	var items []item
	switch l := t.lists("leases", "LEASE"); status {
	case "":
		items, next, err = t.page(ctx, l, p)
	case task.LeaseActive:
		items, next, err = t.filtered(ctx, l, t.actives(func(a active) entry {
			return entry{key{taskPK(a.taskID), leaseSK(a.leaseID)}, a.leaseID}
		}), p, inStatus(string(status)))
	default:
		l.index, l.pk, l.sk, l.partitions = indexGroups, attrGroupPK, attrGroupSK, t.spread("LEASE#"+string(status))
		items, next, err = t.page(ctx, l, p)
	}
	if err != nil {
		return nil, "", err
	}
	leases = make([]task.Lease, len(items))
	for n, i := range items {
		leases[n] = decodeLease(i)
	}
	return leases, next, t.readClocks(ctx, leases)
}

// readClocks brings active leases up to date: their clock is on their task. A
// lease whose task has moved on since the list was read shows that it ended.
func (t *Table) readClocks(ctx context.Context, leases []task.Lease) error {
	var keys []key
	for _, l := range leases {
		if l.Status == task.LeaseActive {
			keys = append(keys, key{taskPK(l.TaskID), skTask})
		}
	}
	items, err := t.batch(ctx, keys, false)
	if err != nil {
		return err
	}
	current := map[string]task.Lease{}
	for _, i := range items {
		if l, ok := decodeTask(i).CurrentLease(); ok {
			current[l.ID] = l
		}
	}
	for n, l := range leases {
		if c, ok := current[l.ID]; ok {
			leases[n] = c
		}
	}
	return nil
}

// active is an entry of the index of active leases.
type active struct{ taskID, leaseID string }

// maxActive bounds how many active leases a list of them looks at. There are
// never more than the fleet has slots.
const maxActive = 10000

// actives is the source of all active leases; as says which item stands for one.
// It reads the keys of all of them, since they are not kept in order.
func (t *Table) actives(as func(active) entry) source {
	return func(ctx context.Context, before string, n int) ([]entry, bool, error) {
		all, err := t.readActives(ctx)
		if err != nil {
			return nil, false, err
		}
		var entries []entry
		for _, a := range all {
			if e := as(a); before == "" || e.sort < before {
				entries = append(entries, e)
			}
		}
		sort.Slice(entries, func(a, b int) bool { return entries[a].sort > entries[b].sort })
		return entries[:min(n, len(entries))], len(entries) > n, nil
	}
}

func (t *Table) readActives(ctx context.Context) ([]active, error) {
	var all []active
	for _, p := range t.spread("ACTIVE") {
		for after := ""; len(all) < maxActive; {
			keys, err := t.query(ctx, query{index: indexGroups, pk: attrGroupPK, sk: attrGroupSK,
				partition: p, after: after, limit: maxExamined})
			if err != nil {
				return nil, err
			}
			for _, i := range keys {
				after = i.str(attrGroupSK)
				all = append(all, active{idOf(i.str(attrPK)), idOf(i.str(attrSK))})
			}
			if len(keys) < maxExamined {
				break
			}
		}
	}
	return all, nil
}

// Workers reads a page of the workers, newest first.
func (t *Table) Workers(ctx context.Context, p Page) ([]worker.Worker, string, error) {
	items, next, err := t.page(ctx, t.lists("workers", "WORKER"), p)
	workers := make([]worker.Worker, len(items))
	for n, i := range items {
		workers[n] = decodeWorker(i)
	}
	return workers, next, err
}

// Artifacts reads a page of all artifacts, newest first.
func (t *Table) Artifacts(ctx context.Context, p Page) ([]task.Artifact, string, error) {
	items, next, err := t.page(ctx, t.lists("artifacts", "ARTIFACT"), p)
	return decodeArtifacts(items), next, err
}

// TaskArtifacts reads a page of one task's artifacts, newest first.
func (t *Table) TaskArtifacts(ctx context.Context, taskID string, p Page) ([]task.Artifact, string, error) {
	l := list{name: "task-artifacts", pk: attrPK, sk: attrSK, partitions: []string{taskPK(taskID)}}
	before, err := l.decodeCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	if before == "" {
		before = afterArtifacts
	}
	items, more, err := t.newestItems(ctx, l, before, p.Limit)
	next := ""
	if more {
		next = l.encodeCursor(items[p.Limit-1].str(attrSK))
	}
	return decodeArtifacts(items), next, err
}

func decodeArtifacts(items []item) []task.Artifact {
	artifacts := make([]task.Artifact, len(items))
	for n, i := range items {
		artifacts[n] = decodeArtifact(i)
	}
	return artifacts
}

// Artifact reads one artifact; not_found for an unknown or malformed id.
func (t *Table) Artifact(ctx context.Context, id string) (task.Artifact, error) {
	taskID, n, ok := parseArtifactID(id)
	if !ok {
		return task.Artifact{}, artifactNotFound()
	}
	i, ok, err := t.get(ctx, key{taskPK(taskID), artifactSK(n)})
	switch {
	case err != nil:
		return task.Artifact{}, err
	case !ok:
		return task.Artifact{}, artifactNotFound()
	default:
		return decodeArtifact(i), nil
	}
}

func artifactNotFound() error { return fault.New(fault.NotFound, "Artifact not found") }

// LeaseArtifact reads what a lease produced, and the lease; not_found when the
// task never had the lease or it produced nothing.
func (t *Table) LeaseArtifact(ctx context.Context, taskID, leaseID string) (task.Artifact, error) {
	i, ok, err := t.get(ctx, key{taskPK(taskID), leaseSK(leaseID)})
	switch {
	case err != nil:
		return task.Artifact{}, err
	case !ok:
		return task.Artifact{}, artifactNotFound()
	}
	return t.Artifact(ctx, ArtifactID(taskID, decodeLease(i).N))
}
