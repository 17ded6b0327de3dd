package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/bloom-runtime/bloom/shared/task"
)

// report is what a worker says at the end of a lease.
type report struct {
	LeaseID      string       `json:"lease_id"`
	Outcome      task.Outcome `json:"status"`
	Output       string       `json:"output"`
	ErrorMessage string       `json:"error_message"`
	Retryable    bool         `json:"retryable"`
	Metrics      task.Metrics `json:"metrics"`
	Type         string       `json:"artifact_type"`
	Tags         []string     `json:"artifact_tags"`
}

func readReport(in *input) (report, error) {
	p := report{
		LeaseID:      in.required("lease_id", maxID),
		Outcome:      oneOf[task.Outcome](in, "status", "", task.Success, task.Err),
		Output:       in.nullable("output", maxOutput),
		ErrorMessage: in.nullable("error_message", maxErrorMessage),
		Retryable:    in.flag("retryable", false),
		Type:         "LLM_RESULT",
		Tags:         in.texts("artifact_tags", maxTags, maxTag),
	}
	in.withinBytes("output", p.Output, maxOutput)
	in.withinBytes("error_message", p.ErrorMessage, maxErrorMessage)
	if _, there := in.fields["artifact_type"]; there {
		p.Type = in.required("artifact_type", maxArtifactType)
	}
	p.Metrics = readMetrics(in)
	return p, in.err()
}

func readMetrics(in *input) task.Metrics {
	if _, there := in.fields["metrics"]; !there {
		in.breaks("metrics", "is required")
		return task.Metrics{}
	}
	m := in.object("metrics")
	if m.fields == nil {
		return task.Metrics{}
	}
	if _, there := m.fields["duration_ms"]; !there {
		m.breaks("duration_ms", "is required")
	}
	out := task.Metrics{DurationMS: m.integer("duration_ms", 0, 0, 1<<53)}
	if m.stated("tokens_used") { // the original's agent always sends null
		n := m.integer("tokens_used", 0, 0, 1<<53)
		out.TokensUsed = &n
	}
	return out
}

// hash tells whether two reports are the same.
func (p report) hash() string {
	text, err := json.Marshal(p)
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
