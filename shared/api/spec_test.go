package api

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// breach is a body, and the fields that it should be refused for, with a part of
// the rule.
type breach struct {
	body string
	want map[string]string
}

// wantBreaches holds one reader of bodies to a table.
func wantBreaches[T any](t *testing.T, read func(*input) (T, error), table []breach) {
	t.Helper()
	for _, c := range table {
		_, err := read(mustDecode(t, c.body))
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Code != fault.Invalid || len(f.Fields) != len(c.want) {
			t.Errorf("%.120s: %v, want faults of %v", c.body, err, c.want)
			continue
		}
		for field, rule := range c.want {
			if !strings.Contains(strings.Join(f.Fields[field], " and "), rule) {
				t.Errorf("%.120s: %s %v, want %s", c.body, field, f.Fields[field], rule)
			}
		}
	}
}

func rep(s string, n int) string { return strings.Repeat(s, n) }

const specHead = `{"context_id":"c","agent_slug":"a","prompt":"p"`

func TestReadSpec(t *testing.T) {
	t.Parallel()
	byDefault := task.Spec{ContextID: "c", AgentSlug: "a", Prompt: "p", ContextHints: []string{},
		Policy: task.Policy{TimeoutSec: 120}, DesiredFormat: task.Text, MaxAttempts: 3}
	with := func(change func(*task.Spec)) task.Spec {
		s := byDefault
		change(&s)
		return s
	}
	for body, want := range map[string]task.Spec{
		specHead + "}":                byDefault,
		specHead + `,"policy":{}}`:    byDefault,
		specHead + `,"unknown":{}}`:   byDefault,
		specHead + `,"status":"x"}`:   byDefault, // not the client's to say
		specHead + `,"lease_id":"x"}`: byDefault,
		specHead + `,"context_hints":["h",""],"max_attempts":10,"desired_format":"json","policy":{"timeout_sec":3600,"budget":0.5}}`: with(func(s *task.Spec) {
			s.ContextHints, s.MaxAttempts, s.DesiredFormat = []string{"h", ""}, 10, task.JSON
			s.Policy = task.Policy{TimeoutSec: 3600, Budget: 0.5}
		}),
		`{"context_id":"` + rep("ї", maxContextID) + `","agent_slug":"` + rep("ї", maxAgentSlug) + `","prompt":"` + rep("x", maxPrompt) + `"}`: with(func(s *task.Spec) {
			s.ContextID, s.AgentSlug, s.Prompt = rep("ї", maxContextID), rep("ї", maxAgentSlug), rep("x", maxPrompt)
		}),
	} {
		if got, err := readSpec(mustDecode(t, body)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%.120s: %+v %v", body, got, err)
		}
	}
}

func TestReadSpecRefuses(t *testing.T) {
	t.Parallel()
	hints := func(n, length int) string { return strings.TrimSuffix(rep(`"`+rep("h", length)+`",`, n), ",") }
	wantBreaches(t, readSpec, []breach{
		{"", map[string]string{"context_id": "required", "agent_slug": "required", "prompt": "required"}},
		{`{"CONTEXT_ID":"c","AGENT_SLUG":"a","PROMPT":"p"}`, map[string]string{"context_id": "required", "agent_slug": "required", "prompt": "required"}},
		{`{"context_id":"","agent_slug":"a","prompt":""}`, map[string]string{"context_id": "empty", "prompt": "empty"}},
		{`{"context_id":"c","agent_slug":"a","prompt":"a\u0000"}`, map[string]string{"prompt": "NUL"}},
		{`{"context_id":"c","agent_slug":"a","prompt":"` + rep("x", maxPrompt+1) + `"}`, map[string]string{"prompt": "1048576"}},
		{`{"context_id":"c","agent_slug":"a","prompt":"` + rep("ї", maxPrompt/2+1) + `"}`, map[string]string{"prompt": "1048576 bytes"}},
		{`{"context_id":"` + rep("c", 257) + `","agent_slug":"` + rep("a", 129) + `","prompt":"p"}`, map[string]string{"context_id": "256", "agent_slug": "128"}},
		{specHead + `,"context_hints":[` + hints(101, 1) + `]}`, map[string]string{"context_hints": "100 entries"}},
		{specHead + `,"context_hints":["a",` + hints(1, 1025) + `]}`, map[string]string{"context_hints[1]": "1024"}},
		{specHead + `,"context_hints":[` + hints(17, 1024) + `]}`, map[string]string{"context_hints": "16384 bytes together"}},
		{specHead + `,"policy":null,"max_attempts":0}`, map[string]string{"policy": "object", "max_attempts": "between 1 and 10"}},
		{specHead + `,"policy":{"timeout_sec":0,"budget":-1}}`, map[string]string{"policy.timeout_sec": "between 1 and 3600", "policy.budget": "negative"}},
		{specHead + `,"policy":{"timeout_sec":3601}}`, map[string]string{"policy.timeout_sec": "between 1 and 3600"}},
		{specHead + `,"desired_format":"xml","max_attempts":11}`, map[string]string{"desired_format": `"text", "json"`, "max_attempts": "between 1 and 10"}},
	})
}

const reportHead = `{"lease_id":"l","status":"success","metrics":{"duration_ms":1}`

func TestReadReport(t *testing.T) {
	t.Parallel()
	tokens := int64(42)
	byDefault := report{LeaseID: "l", Outcome: task.Success, Type: "LLM_RESULT", Tags: []string{}, Metrics: task.Metrics{DurationMS: 1}}
	with := func(change func(*report)) report {
		p := byDefault
		change(&p)
		return p
	}
	for body, want := range map[string]report{
		reportHead + "}": byDefault,
		reportHead + `,"output":null,"error_message":null}`: byDefault,
		reportHead + `,"output":""}`:                        byDefault,
		reportHead + `,"output":"o","artifact_type":"T","artifact_tags":["x"],"retryable":true}`: with(func(p *report) {
			p.Output, p.Type, p.Tags, p.Retryable = "o", "T", []string{"x"}, true
		}),
		`{"lease_id":"l","status":"error","error_message":"m","metrics":{"duration_ms":1.0,"tokens_used":42}}`: with(func(p *report) {
			p.Outcome, p.ErrorMessage, p.Metrics.TokensUsed = task.Err, "m", &tokens
		}),
		`{"lease_id":"l","status":"success","metrics":{"duration_ms":1,"tokens_used":null}}`: byDefault,
		reportHead + `,"output":"` + rep("x", maxOutput) + `"}`:                              with(func(p *report) { p.Output = rep("x", maxOutput) }),
	} {
		if got, err := readReport(mustDecode(t, body)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%.120s: %+v %v", body, got, err)
		}
	}
}

func TestReadReportRefuses(t *testing.T) {
	t.Parallel()
	tags := strings.TrimSuffix(rep(`"t",`, 51), ",")
	wantBreaches(t, readReport, []breach{
		{"", map[string]string{"lease_id": "required", "status": "required", "metrics": "required"}},
		{`{"lease_id":"","status":"done","metrics":null}`, map[string]string{"lease_id": "empty", "status": `"success", "error"`, "metrics": "object"}},
		{`{"lease_id":"l","status":"success","metrics":{}}`, map[string]string{"metrics.duration_ms": "required"}},
		{`{"lease_id":"l","status":"success","metrics":{"duration_ms":null,"tokens_used":-1}}`, map[string]string{"metrics.duration_ms": "whole", "metrics.tokens_used": "between"}},
		{`{"lease_id":"l","status":"success","metrics":{"duration_ms":1.5,"tokens_used":"1"}}`, map[string]string{"metrics.duration_ms": "whole", "metrics.tokens_used": "whole"}},
		{reportHead + `,"output":"` + rep("x", maxOutput+1) + `"}`, map[string]string{"output": "5242880"}},
		{reportHead + `,"output":"` + rep("ї", maxOutput/2+1) + `"}`, map[string]string{"output": "5242880 bytes"}},
		{reportHead + `,"error_message":"` + rep("ї", maxErrorMessage/2+1) + `"}`, map[string]string{"error_message": "16384 bytes"}},
		{reportHead + `,"output":1,"retryable":"yes","artifact_type":"","artifact_tags":"x"}`,
			map[string]string{"output": "string", "retryable": "true or false", "artifact_type": "empty", "artifact_tags": "list"}},
		{reportHead + `,"artifact_type":"` + rep("t", 65) + `","artifact_tags":[` + tags + `]}`, map[string]string{"artifact_type": "64", "artifact_tags": "50 entries"}},
		{reportHead + `,"artifact_tags":["` + rep("t", 129) + `"]}`, map[string]string{"artifact_tags[0]": "128"}},
	})
}

// TestReportHash: the hash is the same for the same report, however it is written,
// and no other's.
func TestReportHash(t *testing.T) {
	t.Parallel()
	hash := func(body string) string {
		p, err := readReport(mustDecode(t, body))
		if err != nil {
			t.Fatal(err)
		}
		return p.hash()
	}
	first := hash(reportHead + `,"output":"o"}`)
	for _, same := range []string{
		reportHead + `, "output" : "\u006f" }`, reportHead + `,"output":"o","artifact_tags":[],"artifact_type":"LLM_RESULT","retryable":false}`,
		`{"output":"o","metrics":{"tokens_used":null,"duration_ms":1e0},"status":"success","lease_id":"l"}`,
	} {
		if hash(same) != first {
			t.Errorf("%s has another hash", same)
		}
	}
	seen := map[string]string{first: "the first"}
	for _, other := range []string{
		reportHead + "}", reportHead + `,"output":"O"}`, reportHead + `,"output":"o","retryable":true}`, reportHead + `,"output":"o","artifact_tags":["a"]}`,
		reportHead + `,"output":"o","artifact_type":"T"}`, reportHead + `,"output":"o","error_message":"m"}`, reportHead + `,"error_message":"o"}`,
		strings.Replace(reportHead, `"l"`, `"m"`, 1) + `,"output":"o"}`, strings.Replace(reportHead, ":1}", ":2}", 1) + `,"output":"o"}`,
		strings.Replace(reportHead, ":1}", `:1,"tokens_used":0}`, 1) + `,"output":"o"}`, strings.Replace(reportHead, "success", "error", 1) + `,"output":"o"}`,
	} {
		h := hash(other)
		if twin, ok := seen[h]; ok {
			t.Errorf("%s has the hash of %s", other, twin)
		}
		seen[h] = other
	}
}

func TestReadRegistration(t *testing.T) {
	t.Parallel()
	byDefault := worker.Registration{Name: "w", Status: worker.Online, IPAddrs: []string{},
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{}}}
	full := worker.Registration{Name: "GPU box #1", URL: "https://gpu.example:8443/agent", Status: worker.Syncing, IPAddrs: []string{"10.0.0.1", "fe80::1"},
		Capabilities: worker.Capabilities{MaxConcurrency: 32, Labels: []string{"gpu"}}, AgentVersion: "1.2", OSInfo: "linux", InstallMethod: "apt"}
	for body, want := range map[string]worker.Registration{
		`{"name":"w"}`: byDefault,
		`{"name":"w","url":"","capabilities":{},"agent_version":null,"os_info":null,"install_method":null,"active_leases":9}`: byDefault,
		`{"name":"GPU box #1","url":"https://gpu.example:8443/agent","status":"syncing","ip_addrs":["10.0.0.1","fe80::1"],
			"capabilities":{"claude_cli":false,"max_concurrency":32,"labels":["gpu"]},"agent_version":"1.2","os_info":"linux","install_method":"apt"}`: full,
	} {
		if got, err := readRegistration(mustDecode(t, body)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%.120s: %+v %v", body, got, err)
		}
	}
	long := rep("ї", maxWorkerName)
	if got, err := readRegistration(mustDecode(t, `{"name":"`+long+`"}`)); err != nil || got.Name != long {
		t.Errorf("a name of 128 letters: %v", err)
	}
}

func TestReadRegistrationRefuses(t *testing.T) {
	t.Parallel()
	table := []breach{
		{"", map[string]string{"name": "required"}},
		{`{"name":"` + rep("ї", 129) + `"}`, map[string]string{"name": "128 characters"}},
		{`{"name":"w","url":null,"status":"busy"}`, map[string]string{"url": "string", "status": `"online"`}},
		{`{"name":"w","url":"` + "http://" + rep("h", 2050) + `"}`, map[string]string{"url": "2048"}},
		{`{"name":"w","capabilities":{"claude_cli":1,"max_concurrency":33,"labels":["` + rep("l", 129) + `"]}}`,
			map[string]string{"capabilities.claude_cli": "true or false", "capabilities.max_concurrency": "between 1 and 32", "capabilities.labels[0]": "128"}},
		{`{"name":"w","capabilities":{"max_concurrency":0,"labels":{}}}`,
			map[string]string{"capabilities.max_concurrency": "between 1 and 32", "capabilities.labels": "list"}},
		{`{"name":"w","ip_addrs":[` + strings.TrimSuffix(rep(`"a",`, 33), ",") + `]}`, map[string]string{"ip_addrs": "32 entries"}},
		{`{"name":"w","ip_addrs":["` + rep("1", 65) + `"],"os_info":5}`, map[string]string{"ip_addrs[0]": "64", "os_info": "string"}},
	}
	for _, name := range []string{"a/b", "/", `a\tb`, `\u007f`, `\u0085`, ".", ".."} {
		table = append(table, breach{`{"name":"` + name + `"}`, map[string]string{"name": "must not"}})
	}
	for _, url := range []string{"file:///etc/passwd", "ftp://h/", "javascript:alert(1)", "http://", "//host", "host:8000", "http://u:p@h/", "http://h/?q",
		"http://h/#f", "http://h:0/", "http://h:99999/", "http://169.254.169.254/", "http://[fe80::1]/", "http://[::1", "http:/h", " "} {
		table = append(table, breach{`{"name":"w","url":"` + url + `"}`, map[string]string{"url": "must"}})
	}
	wantBreaches(t, readRegistration, table)
}

func TestReadLease(t *testing.T) {
	t.Parallel()
	read := func(body string) (string, time.Duration, error) {
		r := asRequest(t, strings.NewReader(body))
		r.SetPathValue("id", "the-task")
		req, err := readLease(r)
		if err == nil && req.TaskID != "the-task" {
			t.Errorf("%s: task %q", body, req.TaskID)
		}
		return req.WorkerID, req.TTL, err
	}
	for body, want := range map[string]string{
		"":                                     " 5m0s",
		"{}":                                   " 5m0s",
		`{"worker_id":null}`:                   " 5m0s",
		`{"worker_id":"w","ttl_seconds":1}`:    "w 1s",
		`{"worker_id":"w","ttl_seconds":3600}`: "w 1h0m0s",
	} {
		if id, ttl, err := read(body); err != nil || fmt.Sprint(id, " ", ttl) != want {
			t.Errorf("%s: %q %s %v, want %s", body, id, ttl, err, want)
		}
	}
	for body, field := range map[string]string{
		`{"worker_id":""}`: "worker_id", `{"worker_id":5}`: "worker_id", `{"worker_id":"a\u0000"}`: "worker_id", `{"worker_id":"` + rep("w", 257) + `"}`: "worker_id",
		`{"ttl_seconds":0}`: "ttl_seconds", `{"ttl_seconds":3601}`: "ttl_seconds", `{"ttl_seconds":1.5}`: "ttl_seconds", `{"ttl_seconds":"10"}`: "ttl_seconds",
		`{"ttl_seconds":1e12}`: "ttl_seconds", `{"ttl_seconds":1e400}`: "ttl_seconds", `{"ttl_seconds":null}`: "ttl_seconds", "[]": "body",
	} {
		_, _, err := read(body)
		wantField(t, err, field)
	}
}
