package api

import (
	"github.com/bloom-runtime/bloom/shared/task"
)

// readSpec reads the task that a client submits.
func readSpec(in *input) (task.Spec, error) {
	s := task.Spec{
		ContextID:    in.required("context_id", maxContextID),
		AgentSlug:    in.required("agent_slug", maxAgentSlug),
		Prompt:       in.required("prompt", maxPrompt),
		ContextHints: in.texts("context_hints", maxHints, maxHint),
		MaxAttempts:  int(in.integer("max_attempts", 3, 1, 10)),
	}
	in.withinBytes("prompt", s.Prompt, maxPrompt)
	total := 0
	for _, h := range s.ContextHints {
		total += len(h)
	}
	if total > maxHintsTotal {
		in.breaks("context_hints", "must be at most %d bytes together", maxHintsTotal)
	}
	s.DesiredFormat = oneOf(in, "desired_format", task.Text, task.Text, task.JSON)
	policy := in.object("policy")
	s.Policy.TimeoutSec = int(policy.integer("timeout_sec", 120, 1, 3600))
	s.Policy.Budget = policy.number("budget", 0)
	return s, in.err()
}
