package events

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/local/template"
)

// schedule calls its function at the start and then every period. Calls never overlap: one that outlasts the period is
// followed by the next at once, and the ones missed meanwhile are dropped.
type schedule struct {
	template.Schedule
	function *function
	log      *slog.Logger
}

func (s *schedule) run(ctx context.Context) {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if _, err := s.function.invoke(ctx, s.event(time.Now())); err != nil && ctx.Err() == nil {
			s.log.Error("a scheduled call failed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// event is what EventBridge sends.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
func (s *schedule) event(now time.Time) []byte {
	if s.Input != "" {
		return []byte(s.Input)
	}
	b, err := json.Marshal(map[string]any{
		"version":     "0",
		"id":          uuid.NewString(),
		"detail-type": "Scheduled Event",
		"source":      "aws.events",
		"account":     account,
		"time":        now.UTC().Format(time.RFC3339),
		"region":      region,
		"resources":   []string{"arn:aws:events:" + region + ":" + account + ":rule/" + s.Name},
		"detail":      struct{}{},
	})
	if err != nil {
		panic(err) // strings only
	}
	return b
}
