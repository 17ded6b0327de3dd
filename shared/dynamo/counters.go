package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// The counters are one item. For each shard of the stream it also has the place
// up to which the shard is counted, so that a batch which is delivered twice
// counts once: place and counters change in the same write.
const (
	countTasks   = "tasks"
	countLeases  = "leases"
	countWorkers = "workers"
	placePrefix  = "place:"
	// placeLife is how long the place of a shard is kept: a stream keeps its
	// records for 24 hours, so that an older shard can't come again.
	placeLife = 48 * time.Hour
)

// Stats are the counters: exact once the stream has been followed to its end.
type Stats struct {
	Tasks         int64
	TasksByStatus map[task.Status]int64
	Leases        int64
	ActiveLeases  int64
	Workers       int64
	OnlineWorkers int64
}

// Stats reads one item.
func (t *Table) Stats(ctx context.Context) (Stats, error) {
	i, _, err := t.get(ctx, key{pkCounters, pkCounters})
	if err != nil {
		return Stats{}, err
	}
	s := Stats{Tasks: i.num(countTasks), TasksByStatus: map[task.Status]int64{},
		Leases: i.num(countLeases), ActiveLeases: i.num(countLeases + "_active"),
		Workers: i.num(countWorkers), OnlineWorkers: i.num(countWorkers + "_online")}
	for _, status := range task.Statuses {
		s.TasksByStatus[status] = i.num(countTasks + "_" + string(status))
	}
	return s, nil
}

// Follow takes in the next records of one shard of the stream, in order: their
// audit entries are stored, then they are counted. It may be called with
// records it has seen before: an entry has the same key each time, and what is
// counted is not counted again.
func (t *Table) Follow(ctx context.Context, shard string, records []Record) error {
	var entries []AuditEntry
	for _, r := range records {
		if e, ok := r.Audit(); ok {
			entries = append(entries, e)
		}
	}
	if err := t.RecordAll(ctx, entries); err != nil {
		return err
	}
	for try := 0; try < maxTries; try++ {
		err := t.countOnce(ctx, shard, records)
		if !errors.Is(err, ErrLostRace) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return t.fail("count", err)
		}
	}
	return fault.New(fault.Unavailable, "Too many consumers count shard %s at once", shard)
}

func (t *Table) countOnce(ctx context.Context, shard string, records []Record) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	i, _, err := t.get(ctx, key{pkCounters, pkCounters})
	if err != nil {
		return err
	}
	place := i.str(placePrefix + shard)
	counted, _, _ := strings.Cut(place, "#")
	deltas, last := map[string]int64{}, counted
	for _, r := range records {
		if n := r.sequence; n > last {
			r.count(deltas)
			last = n
		}
	}
	u := newUpdate()
	for _, name := range sortedDeltas(deltas) {
		u.add = append(u.add, u.name(name)+" "+u.value(num(deltas[name])))
	}
	if len(u.add) == 0 {
		return nil
	}
	condition := t.movePlace(u, shard, place, last)
	t.forgetOldPlaces(u, i, shard)
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: key{pkCounters, pkCounters}.item(), UpdateExpression: aws.String(u.expression()),
		ConditionExpression: &condition, ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		return t.lostRaceOr("count", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

// movePlace sets the shard's place to last, on the condition that it is where it
// was read.
func (t *Table) movePlace(u *update, shard, place, last string) (condition string) {
	name := u.name(placePrefix + shard)
	u.set = append(u.set, name+" = "+u.value(str(fmt.Sprintf("%s#%d", last, t.now()))))
	if place == "" {
		return "attribute_not_exists(" + name + ")"
	}
	return name + " = " + u.value(str(place))
}

func (t *Table) forgetOldPlaces(u *update, counters item, shard string) {
	for name := range counters {
		other, isPlace := strings.CutPrefix(name, placePrefix)
		if !isPlace || other == shard {
			continue
		}
		_, at, _ := strings.Cut(counters.str(name), "#")
		ms, _ := strconv.ParseInt(at, 10, 64) // this package wrote it
		if t.now().Sub(clock.Millis(ms)) > placeLife {
			u.removeAttr(name)
		}
	}
}

// sortedDeltas names what changes, in a stable order.
func sortedDeltas(deltas map[string]int64) []string {
	i := item{}
	for name, d := range deltas {
		if d != 0 {
			i[name] = num(d)
		}
	}
	return sortedNames(i)
}
