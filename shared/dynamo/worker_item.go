package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/worker"
)

// encodeWorker is what the worker is, without what it holds: slots change by
// relative updates of their own.
func (t *Table) encodeWorker(w worker.Worker) item {
	i := item{
		attrPK: str(workerPK(w.ID)), attrSK: str(skWorker), "status": str(string(w.Status)),
		"claude_cli": boolean(w.Capabilities.ClaudeCLI), "max_concurrency": num(w.Capabilities.MaxConcurrency),
		"labels": strs(w.Capabilities.Labels), "ip_addrs": strs(w.IPAddrs),
		"heartbeat_at": num(w.LastHeartbeat), "registered_at": num(w.RegisteredAt),
		attrListPK: str(t.spreadKey("WORKER", w.ID)), attrListSK: str(millis(w.RegisteredAt) + "#" + w.ID),
	}
	i.setStr("url", w.URL)
	i.setNum("obs_count", int64(w.ObsCount))
	i.setStr("db_sha", w.DBSha)
	i.setStr("agent_version", w.AgentVersion)
	i.setStr("os_info", w.OSInfo)
	i.setStr("install_method", w.InstallMethod)
	i.setFlag("from_membridge", w.FromMembridge)
	i.setFlag("went_silent", w.WentSilent)
	if w.Eligible() {
		i[attrCapacityPK] = str(t.spreadKey("FREE", w.ID))
	}
	return i
}

func decodeWorker(i item) worker.Worker {
	w := worker.Worker{
		ID: idOf(i.str(attrPK)), URL: i.str("url"), Status: worker.Status(i.str("status")),
		Capabilities: worker.Capabilities{
			ClaudeCLI: i.bool("claude_cli"), MaxConcurrency: i.int("max_concurrency"), Labels: i.strs("labels"),
		},
		LastHeartbeat: i.millis("heartbeat_at"), RegisteredAt: i.millis("registered_at"),
		IPAddrs: i.strs("ip_addrs"), ObsCount: i.int("obs_count"), DBSha: i.str("db_sha"),
		AgentVersion: i.str("agent_version"), OSInfo: i.str("os_info"), InstallMethod: i.str("install_method"),
		FromMembridge: i.bool("from_membridge"), WentSilent: i.bool("went_silent"),
		Leases: map[string]string{}, Handover: i.strs("handover"),
	}
	for id, v := range i.sub("leases") {
		if s, ok := v.(*types.AttributeValueMemberS); ok {
			w.Leases[id] = s.Value
		}
	}
	return w
}
