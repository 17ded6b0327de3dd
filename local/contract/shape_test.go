package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// kind checks one JSON value and says what it should have been, or "".
type kind func(v any) string

// shape names the fields that an object must have. New fields are only ever
// added, so an object may have more.
type shape map[string]kind

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func str(v any) string {
	if _, ok := v.(string); !ok {
		return "a string"
	}
	return ""
}

func text(v any) string {
	if s, ok := v.(string); !ok || s == "" {
		return "a string that is not empty"
	}
	return ""
}

func id(v any) string {
	if s, ok := v.(string); !ok || !uuidForm.MatchString(s) {
		return "a UUID"
	}
	return ""
}

func boolean(v any) string {
	if _, ok := v.(bool); !ok {
		return "a boolean"
	}
	return ""
}

func number(v any) string {
	if _, ok := v.(json.Number); !ok {
		return "a number"
	}
	return ""
}

func count(v any) string {
	n, ok := v.(json.Number)
	if i, err := n.Int64(); !ok || err != nil || i < 0 {
		return "an integer of 0 or more"
	}
	return ""
}

// moment is Unix epoch milliseconds, near now.
func moment(v any) string {
	n, ok := v.(json.Number)
	ms, err := n.Int64()
	if d := time.Since(time.UnixMilli(ms)); !ok || err != nil || d > time.Hour || d < -2*time.Hour {
		return "an integer of epoch milliseconds"
	}
	return ""
}

func strs(v any) string {
	all, ok := v.([]any)
	if !ok {
		return "an array of strings"
	}
	for _, x := range all {
		if str(x) != "" {
			return "an array of strings"
		}
	}
	return ""
}

func null(v any) string {
	if v != nil {
		return "null"
	}
	return ""
}

func orNull(k kind) kind {
	return func(v any) string {
		if v == nil {
			return ""
		}
		if want := k(v); want != "" {
			return want + " or null"
		}
		return ""
	}
}

func oneOf(all ...string) kind {
	return func(v any) string {
		if s, ok := v.(string); !ok || !slices.Contains(all, s) {
			return fmt.Sprintf("one of %v", all)
		}
		return ""
	}
}

func matching(form string) kind {
	re := regexp.MustCompile(form)
	return func(v any) string {
		if s, ok := v.(string); !ok || !re.MatchString(s) {
			return "a string like " + form
		}
		return ""
	}
}

// is wants exactly this value, compared as JSON.
func is(want any) kind {
	raw, err := json.Marshal(want)
	if err != nil {
		panic(err)
	}
	return func(v any) string {
		if got, err := json.Marshal(v); err != nil || !bytes.Equal(got, raw) {
			return string(raw)
		}
		return ""
	}
}

func obj(s shape) kind {
	return func(v any) string {
		o, ok := v.(map[string]any)
		if !ok {
			return "an object"
		}
		for name, k := range s {
			got, there := o[name]
			if want := k(got); !there || want != "" {
				return fmt.Sprintf("with %s: %s (it is %v, there: %v)", name, want, got, there)
			}
		}
		return ""
	}
}

// array wants an array whose items all are of a kind.
func array(k kind) kind {
	return func(v any) string {
		all, ok := v.([]any)
		if !ok {
			return "an array"
		}
		for i, x := range all {
			if want := k(x); want != "" {
				return fmt.Sprintf("with item %d: %s", i, want)
			}
		}
		return ""
	}
}

// also adds fields to a shape, or narrows those it has.
func (s shape) also(more shape) shape {
	out := shape{}
	for n, k := range s {
		out[n] = k
	}
	for n, k := range more {
		out[n] = k
	}
	return out
}

// wantShape demands a status and a JSON body of a kind.
func wantShape(t testing.TB, resp stacktest.Response, status int, k kind) {
	t.Helper()
	if resp.Status != status {
		t.Fatalf("want %d, got %s", status, resp)
	}
	d := json.NewDecoder(bytes.NewReader(resp.Body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, resp)
	}
	if want := k(v); want != "" {
		t.Fatalf("want %s\nin %s", want, resp)
	}
}

// The objects of the contract.
var (
	policyShape = shape{"timeout_sec": count, "budget": number}
	taskShape   = shape{
		"id": id, "context_id": text, "agent_slug": text, "prompt": text, "context_hints": strs, "policy": obj(policyShape),
		"desired_format": oneOf("text", "json"), "created_at": moment, "updated_at": moment,
		"status":   oneOf("queued", "leased", "running", "completed", "failed", "dead", "cancelled"),
		"lease_id": orNull(id), "worker_id": orNull(text), "attempts": count, "max_attempts": count,
	}
	leaseShape = shape{
		"id": id, "task_id": id, "worker_id": text, "started_at": moment, "expires_at": moment, "ttl_seconds": count,
		"status": oneOf("active", "expired", "released", "failed"), "last_heartbeat": moment, "context_id": orNull(text),
	}
	capabilitiesShape = shape{"claude_cli": boolean, "max_concurrency": count, "labels": strs}
	workerShape       = shape{
		"id": text, "node_id": text, "url": str, "status": oneOf("online", "offline", "syncing", "error", "unknown"),
		"capabilities": obj(capabilitiesShape), "last_heartbeat": orNull(moment), "ip_addrs": strs, "obs_count": count, "db_sha": str,
		"registered_at": moment, "active_leases": count, "agent_version": text, "os_info": str, "install_method": text,
	}
	artifactShape = shape{
		"id": text, "task_id": id, "job_id": orNull(text), "type": text, "created_at": moment, "finalized": boolean,
		"url": orNull(text), "entity_refs": strs, "tags": strs, "content": orNull(str), "size": count,
		"sha256": matching(`^([0-9a-f]{64})?$`), // "" while url is null: there is no payload
	}
	resultShape = shape{
		"id": text, "task_id": id, "worker_id": text, "artifact_id": orNull(text), "status": oneOf("success", "error"),
		"output": orNull(str), "error_message": orNull(str), "metrics": obj(shape{"duration_ms": count}), "completed_at": moment,
	}
	auditShape = shape{
		"id": text, "timestamp": moment, "action": matching(`^[a-z_]+$`), "entity_type": text, "entity_id": text, "actor": text, "detail": str,
	}
	configShape = shape{"membridge_server_url": str, "admin_key_masked": str, "connected": boolean, "last_test": orNull(moment)}
	statsShape  = shape{
		"tasks":   obj(shape{"total": count, "by_status": obj(shape{})}),
		"leases":  obj(shape{"total": count, "active": count}),
		"workers": obj(shape{"total": count, "online": count}),
	}
)
