package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/link"
	"github.com/bloom-runtime/bloom/shared/membridge"
	"github.com/bloom-runtime/bloom/shared/worker"
)

const (
	syncJob   = "sync-workers"
	syncActor = "membridge"
	// syncEvery is how long after a round's start the next one starts. EventBridge starts the function once a minute at most; it
	// goes on until there is no time for another round.
	syncEvery = 10 * time.Second
	// syncTimeout is what Membridge has for one answer.
	syncTimeout = 8 * time.Second
	// syncRound bounds a round: an answer that comes late is better asked for again.
	syncRound = 10 * time.Second
	// syncHold is how long the right to sync lasts without a new round: what a crash of its holder costs at most.
	syncHold = 12 * time.Second
)

// Syncer copies Membridge's agents to the runtime's workers, and marks offline the ones that nobody lists and nobody hears from.
//
// Only one does so at a time, whatever starts it: a round begins with taking a lease on the job, which ends with the next
// round or by itself, and every write of the round is fenced with it.
type Syncer struct {
	table  *dynamo.Table
	link   link.Link
	client *membridge.Client
	every  time.Duration
	now    clock.Now
}

// SyncWorkers returns the scheduled function's work.
func SyncWorkers(table *dynamo.Table, l link.Link) *Syncer {
	return &Syncer{table: table, link: l, client: membridge.New(syncTimeout, membridge.Retries), every: syncEvery, now: clock.System}
}

// Run is the scheduled function. It never fails: what did not work is logged and tried again in the next round.
func (s *Syncer) Run(ctx context.Context) error {
	said := map[string]bool{}
	owner := dynamo.NewID()
	defer s.leave(ctx, owner)
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		_, wait, err := s.round(ctx, owner, said)
		if err != nil && ctx.Err() == nil {
			slog.Error("sync", "error", err)
		}
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < s.every {
			return nil
		}
		if !rest(ctx, tick, wait) {
			return nil
		}
	}
}

// rest waits for the next round: a tick, or, when another one has the job, the end of its right. false means that ctx ended.
func rest(ctx context.Context, tick *time.Ticker, wait time.Duration) bool {
	var early <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		early = timer.C
	}
	select {
	case <-tick.C:
	case <-early:
	case <-ctx.Done():
		return false
	}
	return true
}

// leave gives the job up, so that the next one need not wait for its end.
func (s *Syncer) leave(ctx context.Context, owner string) {
	if err := s.table.LeaveJob(context.WithoutCancel(ctx), syncJob, owner); err != nil {
		slog.Error("sync: the job is not given up", "error", err)
	}
}

// round takes the job and syncs once. wait is set when another one has the job: then its right ends at the latest.
func (s *Syncer) round(ctx context.Context, owner string, said map[string]bool) (job dynamo.Job, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, syncRound)
	defer cancel()
	job, err = s.table.TakeJob(ctx, syncJob, owner, syncHold)
	switch {
	case errors.Is(err, dynamo.ErrJobTaken):
		return dynamo.Job{}, max(job.Until.Sub(s.now()), 100*time.Millisecond), nil
	case err != nil:
		return dynamo.Job{}, 0, err
	}
	return job, 0, s.sync(ctx, job, said)
}

// sync asks Membridge and writes what differs. Without a Membridge nobody lists the workers; one that does not answer changes
// nothing.
func (s *Syncer) sync(ctx context.Context, job dynamo.Job, said map[string]bool) error {
	server, err := s.link.Load(ctx)
	if err != nil {
		return err
	}
	var listed []worker.Listing
	if server.URL != "" {
		var bad []membridge.BadAgent
		listed, bad, err = s.client.Agents(ctx, server)
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil // the stop cut it off: that says nothing about Membridge
		}
		s.note(ctx, err)
		if err != nil {
			sayOnce(ctx, said, "sync: Membridge: "+err.Error())
			return nil
		}
		for _, b := range bad {
			sayOnce(ctx, said, fmt.Sprintf("sync: the agent %q of Membridge is left out: it %s", b.Name, b.Reason))
		}
	}
	return s.write(ctx, job, listed)
}

// note keeps how the call went, for health and config.
func (s *Syncer) note(ctx context.Context, err error) {
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if err := s.table.SaveReach(context.WithoutCancel(ctx), failure); err != nil {
		slog.Error("sync: how Membridge answered is not noted", "error", err)
	}
}

// sayOnce logs a line once a call of the function: the same trouble is not worth a line every round.
func sayOnce(ctx context.Context, said map[string]bool, line string) {
	if !said[line] {
		said[line] = true
		slog.WarnContext(ctx, line)
	}
}

// write brings the workers to what is listed. One that can't be written does not keep the others.
func (s *Syncer) write(ctx context.Context, job dynamo.Job, listed []worker.Listing) error {
	fleet, err := s.table.Fleet(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]worker.Worker, len(fleet))
	for _, w := range fleet {
		known[w.ID] = w
	}
	var failed []error
	apply := func(from *worker.Worker, to worker.Worker) (goOn bool) {
		err := s.apply(ctx, job, from, to)
		if err != nil && !errors.Is(err, dynamo.ErrJobTaken) {
			failed = append(failed, fmt.Errorf("worker %s: %w", to.ID, err))
		}
		return !errors.Is(err, dynamo.ErrJobTaken) && ctx.Err() == nil
	}
	for _, l := range listed {
		var from *worker.Worker
		if w, ok := known[l.Name]; ok {
			from = &w
		}
		delete(known, l.Name)
		if !apply(from, worker.Sync(from, l, s.now())) {
			return errors.Join(failed...)
		}
	}
	for _, w := range known {
		if !apply(&w, worker.Unlisted(w, s.now())) {
			break
		}
	}
	return errors.Join(failed...)
}

// apply writes one worker if something differs. A lost race is the next round's matter.
func (s *Syncer) apply(ctx context.Context, job dynamo.Job, from *worker.Worker, to worker.Worker) error {
	why := reason(from, to)
	if from != nil && why == "" && same(*from, to) {
		return nil
	}
	err := s.table.SyncWorker(ctx, job, from, to, syncActor, why)
	if errors.Is(err, dynamo.ErrLostRace) {
		return nil
	}
	return err
}

// reason is what the audit log says about a change; "" for one that it does not tell.
func reason(from *worker.Worker, to worker.Worker) string {
	state := fmt.Sprintf("status %s, max_concurrency %d", to.Status, to.Capabilities.MaxConcurrency)
	switch {
	case from == nil:
		return "listed by Membridge; " + state
	case to.WentSilent && !from.WentSilent:
		return fmt.Sprintf("not heard from for more than %.0f s; %s", worker.SilentAfter.Seconds(), state)
	case from.WentSilent && !to.WentSilent:
		return "heard from again; " + state
	case from.Status != to.Status || from.Capabilities.MaxConcurrency != to.Capabilities.MaxConcurrency ||
		from.Capabilities.ClaudeCLI != to.Capabilities.ClaudeCLI || from.URL != to.URL:
		return "as Membridge says; " + state
	}
	return ""
}

// same says that nothing of a worker that Membridge may change differs.
func same(a, b worker.Worker) bool {
	return a.Status == b.Status && a.WentSilent == b.WentSilent && a.LastHeartbeat == b.LastHeartbeat && a.URL == b.URL &&
		a.Capabilities.ClaudeCLI == b.Capabilities.ClaudeCLI && a.Capabilities.MaxConcurrency == b.Capabilities.MaxConcurrency &&
		slices.Equal(a.Capabilities.Labels, b.Capabilities.Labels) && slices.Equal(a.IPAddrs, b.IPAddrs)
}
