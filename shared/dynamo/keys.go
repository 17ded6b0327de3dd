package dynamo

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/task"
)

// Every key of the table and of its indexes comes from this file;
// infra/docs/access-patterns.md says which call uses which.
//
//	item       PK               SK              lists (L_*)                        queue (Q_*)          groups (G_*)                    capacity (C_PK, free)
//	task       T#<task>         T               TASK#<class>#<p> / <task>          READY#<p> / …        –                               –
//	                                                                               TIMER#<p> / …
//	lease      T#<task>         L#<lease>       LEASE#<p> / <lease>                –                    ACTIVE#<p> / <context>#<lease>… –
//	                                                                                                    LEASE#<status>#<p> / <lease>
//	artifact   T#<task>         A#<n>           ARTIFACT#<p> / <time>#<artifact>   –                    –                               –
//	worker     W#<worker>       W               WORKER#<p> / <time>#<worker>       –                    –                               FREE#<p> / free
//	audit      AUDIT#<p>        <entry>         –                                  –                    –                               –
//	counters   COUNTERS         COUNTERS
//	config     CONFIG           CONFIG
//	job        JOB#<job>        JOB
//
// Of the built-in Membridge, none of them in an index:
//
//	agent      AGENTS           AGENT#<name>
//	project    PROJECTS         P<canonical id>
//	leadership NODES#<canonical id>  M
//	node       NODES#<canonical id>  N#<node>
//
// <p> is one of the table's partitions, 0 ≤ p < Partitions: a partition key takes
// 1,000 write units a second, so whatever all tasks share is spread over
// several. Ids are UUIDv7 and sort by age.
const (
	attrPK, attrSK = "PK", "SK"

	indexLists           = "lists"
	attrListPK           = "L_PK"
	attrListSK           = "L_SK"
	indexQueue           = "queue"
	attrQueuePK          = "Q_PK"
	attrQueueSK          = "Q_SK"
	indexGroups          = "groups"
	attrGroupPK          = "G_PK"
	attrGroupSK          = "G_SK"
	indexCapacity        = "capacity"
	attrCapacityPK       = "C_PK"
	attrFree             = "free"
	attrPurgeAt          = "purge_at"
	skTask               = "T"
	skWorker             = "W"
	prefixLease          = "L#"
	prefixArtifact       = "A#"
	afterArtifacts       = "A$" // sorts right behind them; nothing of a task sorts before them
	pkCounters           = "COUNTERS"
	pkConfig             = "CONFIG"
	prefixTask           = "T#"
	prefixWorker         = "W#"
	prefixJob            = "JOB#"
	skJob                = "JOB"
	pkAgents             = "AGENTS"
	prefixAgent          = "AGENT#"
	pkProjects           = "PROJECTS"
	prefixProject        = "P"
	prefixNodes          = "NODES#"
	skLeadership         = "M"
	prefixNode           = "N#"
	beforeNodes          = "N" // sorts right before them, and behind all else of a project
	listOpen             = "open"
	millisWidth          = "%013d"
	artifactOrdinalWidth = "%06d"
)

// listClasses are the classes of the task lists. Tasks that are queued, leased
// or running share one, so that a lease need not move the list entry.
var listClasses = []string{listOpen, string(task.Completed), string(task.Failed), string(task.Dead), string(task.Cancelled)}

// partition is where an id falls. Raising the number of partitions is safe at
// any time: reads cover all of them, and old entries stay where they are.
func (t *Table) partition(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() % uint32(t.partitions))
}

// spread names every partition of a family of partition keys.
func (t *Table) spread(prefix string) []string {
	keys := make([]string, t.partitions)
	for p := range keys {
		keys[p] = fmt.Sprintf("%s#%d", prefix, p)
	}
	return keys
}

func (t *Table) spreadKey(prefix, id string) string {
	return fmt.Sprintf("%s#%d", prefix, t.partition(id))
}

func taskPK(id string) string      { return prefixTask + id }
func workerPK(id string) string    { return prefixWorker + id }
func leaseSK(id string) string     { return prefixLease + id }
func artifactSK(n int) string      { return prefixArtifact + fmt.Sprintf(artifactOrdinalWidth, n) }
func millis(m clock.Millis) string { return fmt.Sprintf(millisWidth, int64(m)) }

func taskClass(s task.Status) string {
	if s == task.Queued || s.Held() {
		return listOpen
	}
	return string(s)
}

func (t *Table) taskList(s task.Status, id string) (pk, sk string) {
	return t.spreadKey("TASK#"+taskClass(s), id), id
}

// queueEntry is where the queue looks for the task: among those that are ready
// (by priority, then age), or among those whose moment is yet to come (by
// time). ok is false for a resting task.
func (t *Table) queueEntry(k task.Task) (pk, sk string, ok bool) {
	switch {
	case k.Status.Resting():
		return "", "", false
	case k.LookAt == 0:
		return t.spreadKey("READY", k.ID), fmt.Sprintf("%d#%s", k.Priority, k.ID), true
	default:
		return t.spreadKey("TIMER", k.ID), millis(k.LookAt) + "#" + k.ID, true
	}
}

func (t *Table) leaseList(id string) (pk, sk string) { return t.spreadKey("LEASE", id), id }

// leaseGroup is where active leases are found by context, and ended ones by how
// they ended.
func (t *Table) leaseGroup(l task.Lease) (pk, sk string) {
	if l.Status == task.LeaseActive {
		c := contextHash(l.ContextID)
		return t.spreadKey("ACTIVE", c), c + "#" + l.ID + "#" + l.WorkerID
	}
	return t.spreadKey("LEASE#"+string(l.Status), l.ID), l.ID
}

// contextHash stands for a context id, which may be longer than a key may be.
func contextHash(contextID string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(contextID)) // never fails
	return fmt.Sprintf("%016x", h.Sum64())
}

func jobKey(name string) key { return key{prefixJob + name, skJob} }

func agentKey(name string) key { return key{pkAgents, prefixAgent + name} }

// projectKey is where the project with that canonical id is. An empty id is one too: the sort key begins with a letter.
func projectKey(cid string) key { return key{pkProjects, prefixProject + cid} }

func leadershipKey(cid string) key { return key{prefixNodes + cid, skLeadership} }
func nodeKey(cid, node string) key { return key{prefixNodes + cid, prefixNode + node} }

// idOf cuts the prefix of a partition key: the id of a task or worker.
func idOf(pk string) string {
	_, id, _ := strings.Cut(pk, "#")
	return id
}
