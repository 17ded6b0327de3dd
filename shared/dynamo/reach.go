package dynamo

import (
	"context"
	"time"
)

// reachedEvery is how often a success that changes nothing is noted.
const reachedEvery = time.Minute

// SaveReach stores how a scheduled call to Membridge went, which is no test: it leaves LastTest as it is. failure is "" for a
// success; one that says nothing new writes nothing.
func (t *Table) SaveReach(ctx context.Context, failure string) error {
	c, err := t.Config(ctx)
	if err != nil {
		return err
	}
	now := t.now()
	if failure == "" && c.Connected && c.ConsecutiveFailures == 0 && now.Sub(c.LastSuccess) < reachedEvery {
		return nil
	}
	u := newUpdate()
	u.setTo("connected", boolean(failure == ""))
	u.noteReach(failure, now)
	_, err = t.updateConfig(ctx, u)
	return err
}
