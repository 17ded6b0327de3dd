package dynamo

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// CreateTask stores a new task, in one write.
func (t *Table) CreateTask(ctx context.Context, s task.Step, actor string) error {
	return t.apply(ctx, write{Step: s, actor: actor})
}

// Task reads a task; not_found for an unknown or malformed id.
func (t *Table) Task(ctx context.Context, id string) (task.Task, error) {
	if uuid.Validate(id) != nil {
		return task.Task{}, taskNotFound()
	}
	i, ok, err := t.get(ctx, key{taskPK(id), skTask})
	switch {
	case err != nil:
		return task.Task{}, err
	case !ok:
		return task.Task{}, taskNotFound()
	default:
		return decodeTask(i), nil
	}
}

func taskNotFound() error { return fault.New(fault.NotFound, "Task not found") }

// Transition reads a task, has decide choose the step and writes it; after a lost
// race it reads and decides again. A decide error ends it and is returned.
func (t *Table) Transition(ctx context.Context, id, actor string,
	decide func(task.Task, clock.Millis) (task.Step, error)) (task.Step, error) {
	for try := 0; try < maxTries; try++ {
		k, err := t.Task(ctx, id)
		if err != nil {
			return task.Step{}, err
		}
		s, err := decide(k, t.now())
		if err != nil {
			return task.Step{}, err
		}
		err = t.apply(ctx, write{Step: s, actor: actor})
		if !errors.Is(err, ErrLostRace) {
			return s, err
		}
		if err := pause(ctx, try); err != nil {
			return task.Step{}, t.fail("transition", err)
		}
	}
	return task.Step{}, tooManyRaces(id)
}

func tooManyRaces(id string) error {
	return fault.New(fault.Unavailable, "Too many calls change task %s at once; try again", id)
}

// Report stores the end of a lease as a worker reported it: the step, and the
// artifact whose payload is in the bucket already. ErrLostRace when the task
// changed meanwhile.
func (t *Table) Report(ctx context.Context, s task.Step, a task.Artifact, actor string) error {
	err := t.apply(ctx, write{Step: s, actor: actor, artifact: &a})
	if errors.Is(err, errNoSlot) {
		// The worker was removed in between, and its tasks are being freed.
		return ErrLostRace
	}
	return err
}

// expire moves on a task whose lease has run out.
func (t *Table) expire(ctx context.Context, k task.Task) (task.Task, error) {
	s, err := task.Lapse(k, t.now())
	if err != nil {
		return task.Task{}, err
	}
	err = t.apply(ctx, write{Step: s, actor: "system"})
	if errors.Is(err, errNoSlot) {
		return task.Task{}, ErrLostRace
	}
	return s.To, err
}
