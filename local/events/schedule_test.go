package events

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/local/template"
)

// runSchedule runs a schedule of a minute for d of a fake clock.
func runSchedule(t *testing.T, d time.Duration, s template.Schedule, h any) {
	t.Helper()
	s.Name, s.Every = "Tick", time.Minute
	r, err := Start(t.Context(), Options{
		Stack:     &template.Stack{Functions: []template.Function{{Name: "sweep", Timeout: 90 * time.Second, Schedules: []template.Schedule{s}}}},
		Functions: map[string]lambda.Handler{"sweep": lambda.NewHandler(h)},
		Dir:       t.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	synctest.Wait()
	r.Stop()
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		runSchedule(t, 150*time.Second, template.Schedule{}, func(ctx context.Context, e lambdaevents.EventBridgeEvent) error {
			at = append(at, time.Since(start))
			deadline, ok := ctx.Deadline()
			if !ok || time.Until(deadline) != 90*time.Second || e.Source != "aws.events" || e.DetailType != "Scheduled Event" ||
				e.ID == "" || !e.Time.Equal(time.Now().UTC().Truncate(time.Second)) || len(e.Resources) != 1 {
				t.Errorf("deadline %v, event %+v", deadline, e)
			}
			return errors.New("a failure changes nothing")
		})
		if len(at) != 3 || at[0] != 0 || at[1] != time.Minute || at[2] != 2*time.Minute {
			t.Errorf("called at %v", at)
		}
	})
}

// A call that outlasts the period is not joined by another.
func TestScheduleDoesNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		running := 0
		runSchedule(t, 230*time.Second, template.Schedule{}, func() error {
			if running++; running > 1 {
				t.Error("two calls at once")
			}
			at = append(at, time.Since(start))
			time.Sleep(75 * time.Second)
			running--
			return nil
		})
		if len(at) != 4 || at[1] != 75*time.Second {
			t.Errorf("called at %v", at)
		}
	})
}

func TestScheduleInputAndPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		runSchedule(t, 70*time.Second, template.Schedule{Input: `{"a":1}`}, func(e json.RawMessage) error {
			if calls++; string(e) != `{"a":1}` {
				t.Errorf("got %s", e)
			}
			panic("the next call comes all the same")
		})
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
	})
}
