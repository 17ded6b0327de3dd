package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// Claim is a task with the lease that a worker holds on it.
type Claim struct {
	Task  task.Task
	Lease task.Lease
}

// What one claim looks at: due entries in each partition, and how many tasks
// more than asked for, so that a lost race finds another one.
const (
	maxDue   = 10
	lookPast = 8
)

// Claim gives a worker at most limit tasks, as far as it has capacity: first the
// leases that were dispatched to it, then queued tasks by priority and age. A
// claim also shows that the worker is alive. With nothing to do it reads one
// item and one empty page of the queue for each partition, twice.
//
// Errors: not_found when the worker is not registered.
func (t *Table) Claim(ctx context.Context, workerID string, limit int, ttl time.Duration) ([]Claim, error) {
	w, err := t.Worker(ctx, workerID)
	if err != nil {
		return nil, err
	}
	if w, err = t.alive(ctx, w); err != nil {
		return nil, err
	}
	if w, err = t.freeLapsed(ctx, w); err != nil {
		return nil, err
	}
	claims, err := t.handOver(ctx, w, limit)
	if err != nil {
		return nil, err
	}
	if want := min(limit-len(claims), w.Free()); want > 0 && w.Eligible() {
		granted, err := t.claimQueued(ctx, w.ID, want, ttl)
		if err != nil && len(claims)+len(granted) == 0 {
			return nil, err
		}
		// What was granted before an error is the worker's: answer it.
		claims = append(claims, granted...)
	}
	return claims, nil
}

// alive notes that the worker is alive. One that was taken for lost is online again.
func (t *Table) alive(ctx context.Context, w worker.Worker) (worker.Worker, error) {
	now := t.now()
	if !w.Stale(now) && w.Status == worker.Online {
		return w, nil
	}
	seen := w
	seen.Status, seen.LastHeartbeat = worker.Online, now
	var change *AuditEntry
	if w.Status != worker.Online {
		change = &AuditEntry{Action: "worker_updated", Actor: w.ID}
	}
	err := t.updateWorker(ctx, w, seen, change)
	if errors.Is(err, ErrLostRace) {
		return w, workerNotFound()
	}
	return seen, err
}

// freeLapsed moves on what is due before a full worker is turned away: its slots may
// be taken by leases that have run out.
func (t *Table) freeLapsed(ctx context.Context, w worker.Worker) (worker.Worker, error) {
	if w.Free() > 0 {
		return w, nil
	}
	if _, err := t.Due(ctx, maxDue); err != nil {
		return w, err
	}
	return t.Worker(ctx, w.ID)
}

// handOver fetches the leases that were dispatched to the worker, and marks them
// fetched.
func (t *Table) handOver(ctx context.Context, w worker.Worker, limit int) ([]Claim, error) {
	if len(w.Handover) == 0 {
		return nil, nil
	}
	var keys []key
	for _, id := range w.Handover {
		if taskID, ok := w.Leases[id]; ok {
			keys = append(keys, key{taskPK(taskID), skTask})
		}
	}
	items, err := t.batch(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	var claims []Claim
	for _, i := range items {
		k := decodeTask(i)
		l, _ := k.CurrentLease()
		if len(claims) < limit && contains(w.Handover, l.ID) && k.HeldBy(l.ID, t.now()) && fits(claims, k) {
			claims = append(claims, Claim{k, l})
		}
	}
	return t.takeOver(ctx, w.ID, claims)
}

// fits keeps a claim within what a function may answer: it carries at most one
// prompt that is too long for the table.
func fits(claims []Claim, k task.Task) bool {
	for _, c := range claims {
		if c.Task.PromptKey != "" && k.PromptKey != "" {
			return false
		}
	}
	return true
}

// takeOver marks dispatched leases fetched and returns those that this call, and
// no other one, fetched.
func (t *Table) takeOver(ctx context.Context, workerID string, claims []Claim) ([]Claim, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	ids := make([]string, len(claims))
	for n, c := range claims {
		ids[n] = c.Lease.ID
	}
	taken, err := t.markAllFetched(ctx, workerID, ids)
	if err != nil {
		return nil, err
	}
	var ours []Claim
	for _, c := range claims {
		if contains(taken, c.Lease.ID) {
			ours = append(ours, c)
		}
	}
	return ours, nil
}

// markAllFetched takes lease ids out of the worker's handover and returns those
// that this call, and no other one, took.
func (t *Table) markAllFetched(ctx context.Context, workerID string, ids []string) ([]string, error) {
	for try := 0; len(ids) > 0 && try < maxTries; try++ {
		left, err := t.markFetched(ctx, workerID, ids)
		if !errors.Is(err, ErrLostRace) {
			return ids, err
		}
		ids = left
	}
	return nil, nil
}

// markFetched takes lease ids, all of them or none, out of the worker's handover. A
// write whose answer was lost is recognised by the id that it leaves. With
// ErrLostRace come those of the ids that are still there.
func (t *Table) markFetched(ctx context.Context, workerID string, ids []string) (left []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u, fetch := newUpdate(), NewID()
	handover := u.name("handover")
	u.del = append(u.del, handover+" "+u.value(&types.AttributeValueMemberSS{Value: ids}))
	u.setTo("fetch", str(fetch))
	condition := "attribute_exists(PK)"
	for _, id := range ids {
		condition += fmt.Sprintf(" AND contains(%s, %s)", handover, u.value(str(id)))
	}
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: key{workerPK(workerID), skWorker}.item(),
		UpdateExpression: aws.String(u.expression()), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld, ReturnConsumedCapacity: t.units(),
	})
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed) && failed.Item == nil:
		return nil, workerNotFound()
	case errors.As(err, &failed) && item(failed.Item).str("fetch") == fetch:
		return nil, nil
	case errors.As(err, &failed):
		for _, id := range item(failed.Item).strs("handover") {
			if contains(ids, id) {
				left = append(left, id)
			}
		}
		return left, ErrLostRace
	case err != nil:
		return nil, t.fail("hand over", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil, nil
}

// claimQueued grants queued tasks to a worker.
func (t *Table) claimQueued(ctx context.Context, workerID string, want int, ttl time.Duration) (claims []Claim, err error) {
	candidates, err := t.candidates(ctx, want+lookPast)
	if err != nil {
		return nil, err
	}
	for len(candidates) > 0 && len(claims) < want {
		k := candidates[0]
		if candidates = candidates[1:]; !fits(claims, k) {
			continue
		}
		s, err := t.grant(ctx, k, workerID, ttl, false, workerID)
		switch {
		case errors.Is(err, ErrLostRace):
			// Somebody else was faster here; go on somewhere else than the next one.
			rand.Shuffle(len(candidates), func(a, b int) { candidates[a], candidates[b] = candidates[b], candidates[a] })
		case errors.Is(err, errNoSlot):
			return claims, nil
		case err != nil:
			return claims, err
		default:
			claims = append(claims, Claim{s.To, *s.Lease})
		}
	}
	return claims, nil
}

// candidates lists claimable tasks in the order in which they should be given.
// What is due in the timers is moved on first, so that a lapsed lease is
// claimable without waiting for a sweep.
func (t *Table) candidates(ctx context.Context, limit int) ([]task.Task, error) {
	woken, err := t.Due(ctx, maxDue)
	if err != nil {
		return nil, err
	}
	var keys []key
	for _, p := range t.spread("READY") {
		found, err := t.query(ctx, query{index: indexQueue, pk: attrQueuePK, sk: attrQueueSK, partition: p, limit: limit})
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			keys = append(keys, keyOf(i))
		}
	}
	items, err := t.batch(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	ready := woken
	for _, i := range items {
		k := decodeTask(i)
		if k.Status == task.Queued && k.NotBefore <= t.now() && !hasTask(woken, k.ID) {
			ready = append(ready, k)
		}
	}
	sort.SliceStable(ready, func(a, b int) bool {
		if ready[a].Priority != ready[b].Priority {
			return ready[a].Priority < ready[b].Priority
		}
		return ready[a].ID < ready[b].ID
	})
	return ready[:min(limit, len(ready))], nil
}

func hasTask(tasks []task.Task, id string) bool {
	for _, k := range tasks {
		if k.ID == id {
			return true
		}
	}
	return false
}

// Due moves on what the timers say is due, at most limit in each partition: lapsed
// leases end, tasks whose backoff has passed become ready, and entries of leases
// that were renewed move to their new time. It returns the tasks that are
// claimable now because of it.
func (t *Table) Due(ctx context.Context, limit int) ([]task.Task, error) {
	now := t.now()
	var keys []key
	for _, p := range t.spread("TIMER") {
		found, err := t.query(ctx, query{index: indexQueue, pk: attrQueuePK, sk: attrQueueSK,
			partition: p, atMost: millis(now) + "$", limit: limit})
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			keys = append(keys, keyOf(i))
		}
	}
	items, err := t.batch(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	var ready []task.Task
	for _, i := range items {
		k, err := t.moveOn(ctx, decodeTask(i), now)
		switch {
		case errors.Is(err, ErrLostRace):
			// Somebody else moved it on.
		case err != nil:
			return ready, err
		case k.Status == task.Queued && k.NotBefore == 0:
			ready = append(ready, k)
		}
	}
	return ready, nil
}

// moveOn does what is due for one task.
func (t *Table) moveOn(ctx context.Context, k task.Task, now clock.Millis) (task.Task, error) {
	var decide func(task.Task, clock.Millis) (task.Step, error)
	switch {
	case k.Lapsed(now):
		return t.expire(ctx, k)
	case k.Status.Held():
		decide = task.Defer
	default:
		decide = task.Wake
	}
	s, err := decide(k, now)
	if err != nil { // it was moved on between the query and the read
		return k, ErrLostRace
	}
	return s.To, t.apply(ctx, write{Step: s})
}
