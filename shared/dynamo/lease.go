package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// LeaseRequest asks for a lease on one task.
type LeaseRequest struct {
	TaskID   string
	WorkerID string // "" lets the runtime choose
	TTL      time.Duration
	// Handover has the worker fetch the lease with its next claim.
	Handover bool
}

// Lease gives a task, asked for by its id, to a worker.
//
// Errors: not_found; conflict when the task is not queued (a lease that ran out
// is moved on first); no_worker when nobody, or not the worker named, can take
// it now.
func (t *Table) Lease(ctx context.Context, r LeaseRequest, actor string) (task.Lease, worker.Worker, error) {
	for try := 0; try < maxTries; try++ {
		l, w, err := t.tryLease(ctx, r, actor)
		if !errors.Is(err, ErrLostRace) && !errors.Is(err, errNoSlot) {
			return l, w, err
		}
		if err := pause(ctx, try); err != nil {
			return task.Lease{}, worker.Worker{}, t.fail("lease", err)
		}
	}
	return task.Lease{}, worker.Worker{}, tooManyRaces(r.TaskID)
}

func (t *Table) tryLease(ctx context.Context, r LeaseRequest, actor string) (l task.Lease, w worker.Worker, err error) {
	k, named, err := t.taskAndWorker(ctx, r.TaskID, r.WorkerID)
	if err != nil {
		return l, w, err
	}
	if k.Lapsed(t.now()) {
		if k, err = t.expire(ctx, k); err != nil {
			return l, w, err
		}
	}
	if k.Status != task.Queued {
		_, err = task.Grant(k, "", "", 0, t.now()) // says why not
		return l, w, err
	}
	if named != nil && named.CanTake() {
		w = *named
	} else if w, err = t.chooseWorker(ctx, r.WorkerID, k.ContextID); fault.Is(err, fault.NoWorker) {
		// Slots may be taken by leases that have run out: look once more without them.
		if _, err = t.Due(ctx, maxDue); err == nil {
			w, err = t.chooseWorker(ctx, r.WorkerID, k.ContextID)
		}
	}
	if err != nil {
		return l, w, err
	}
	s, err := t.grant(ctx, k, w.ID, r.TTL, r.Handover, actor)
	if err != nil {
		return l, w, err
	}
	w.Leases[s.Lease.ID] = k.ID
	w.LastHeartbeat = s.To.UpdatedAt
	return *s.Lease, w, nil
}

// taskAndWorker reads the task and, in the same call, the worker if one is named;
// the worker is nil when there is none of that name.
func (t *Table) taskAndWorker(ctx context.Context, taskID, workerID string) (task.Task, *worker.Worker, error) {
	if workerID == "" || uuid.Validate(taskID) != nil {
		k, err := t.Task(ctx, taskID)
		return k, nil, err
	}
	taskKey, workerKey := key{taskPK(taskID), skTask}, key{workerPK(workerID), skWorker}
	found := make(map[key]item, 2)
	if err := t.batchInto(ctx, found, []key{taskKey, workerKey}, true); err != nil {
		return task.Task{}, nil, err
	}
	i, ok := found[taskKey]
	if !ok || gone(i, t.now()) {
		return task.Task{}, nil, taskNotFound()
	}
	k := decodeTask(i)
	if i, ok = found[workerKey]; !ok {
		return k, nil, nil
	}
	w := decodeWorker(i)
	return k, &w, nil
}

// grant writes the lease: the task, the lease and the worker's slot together.
func (t *Table) grant(ctx context.Context, k task.Task, workerID string, ttl time.Duration, handover bool, actor string) (task.Step, error) {
	s, err := task.Grant(k, NewID(), workerID, ttl, t.now())
	if err != nil {
		return s, err
	}
	return s, t.apply(ctx, write{Step: s, actor: actor, handover: handover})
}

func noWorker() error {
	return fault.New(fault.NoWorker, "No available worker with free capacity")
}
