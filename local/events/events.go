// Package events drives what starts by itself: schedules, as EventBridge does, and the readers of a table's stream, as
// Lambda's event source mappings do, both from the template.
//
// Partly: a batch never waits for other shards (ParallelizationFactor is 1); a destination for failed batches is a bucket.
// Filters know the patterns named at compile.
// Not supported: StartingPosition other than TRIM_HORIZON, which would skip records at a crash.
package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/bloom-runtime/bloom/local/template"
)

// Options are what a Runner is made from.
type Options struct {
	// Stack has the functions with their schedules and streams.
	Stack *template.Stack
	// Functions are the handlers by Function.Name.
	Functions map[string]lambda.Handler
	// Streams is where DynamoDB Streams answers.
	Streams aws.Config
	// Dir is the folder in which the places of the streams' readers are kept.
	Dir string
	// Failed stores what a function failed on for good, when its stream names a destination. An error has it called again.
	Failed func(ctx context.Context, key string, body []byte) error
	// Redelivered is the rate (0 to 1) of batches that a function is handed once more after it took them: Lambda does so when it
	// fails before it has noted its place. Seed is that of the draws. For tests; default never.
	// https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
	Redelivered float64
	Seed        uint64
	// Log gets failures of functions and of the stream.
	Log *slog.Logger
}

// Runner is what Start started.
type Runner struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Start checks everything, then starts every schedule and every reader. They end with ctx or Stop.
func Start(ctx context.Context, o Options) (*Runner, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	var runs []func(context.Context)
	for _, f := range o.Stack.Functions {
		if len(f.Schedules) == 0 && len(f.Streams) == 0 {
			continue
		}
		handler, ok := o.Functions[f.Name]
		if !ok {
			return nil, fmt.Errorf("events: the template's function %s has no handler", f.Name)
		}
		fn := newFunction(f, handler)
		for _, s := range f.Schedules {
			if s.Every <= 0 {
				return nil, fmt.Errorf("events: the schedule %s of %s has no period", s.Name, f.Name)
			}
			if s.Input != "" && !json.Valid([]byte(s.Input)) {
				return nil, fmt.Errorf("events: the input of the schedule %s of %s is not JSON", s.Name, f.Name)
			}
			sched := &schedule{Schedule: s, function: fn, log: o.Log.With("schedule", s.Name, "function", f.Name)}
			runs = append(runs, sched.run)
		}
		for _, s := range f.Streams {
			src, err := newSource(o, fn, s)
			if err != nil {
				return nil, fmt.Errorf("events: the stream %s of %s: %w", s.Name, f.Name, err)
			}
			runs = append(runs, src.run)
		}
	}
	r := &Runner{}
	ctx, r.cancel = context.WithCancel(ctx)
	for _, run := range runs {
		r.work.Go(func() { run(ctx) })
	}
	return r, nil
}

// Stop ends everything and waits: functions under way see their context end, and what they did not finish is done again at
// the next start.
func (r *Runner) Stop() {
	r.cancel()
	r.work.Wait()
}

func newSource(o Options, fn *function, s template.Stream) (*source, error) {
	table := ""
	for _, t := range o.Stack.Tables {
		if t.LogicalID == s.TableLogicalID {
			if t.StreamView == "" {
				return nil, fmt.Errorf("the table %s has no stream", t.LogicalID)
			}
			table = t.Name
		}
	}
	if table == "" {
		return nil, fmt.Errorf("%s is not a table of the template", s.TableLogicalID)
	}
	if s.StartingPosition != "TRIM_HORIZON" {
		return nil, fmt.Errorf("StartingPosition %s is not supported on one machine, where it would skip records at a crash; use TRIM_HORIZON", s.StartingPosition)
	}
	var filters []*pattern
	for _, text := range s.Filters {
		p, err := compile([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", text, err)
		}
		filters = append(filters, p)
	}
	id := fn.name + "-" + s.Name
	places, err := openPlaces(filepath.Join(o.Dir, id+".json"))
	if err != nil {
		return nil, err
	}
	return &source{
		id: id, table: table, stream: s, filters: filters, function: fn, client: newClient(o.Streams), places: places,
		again: newAgain(o), failed: o.Failed, log: o.Log.With("stream", s.Name, "function", fn.name), running: map[string]bool{}, ended: make(chan struct{}, 1),
	}, nil
}
