// Package contract holds the started system to its contract: HTTP over TLS from
// outside, nothing else. Tests of one stack run one after the other; the stacks
// (the shared one, one with a key, one for lapses…) run beside each other.
package contract

import (
	"testing"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// TestRoutes runs every group that needs no stack of its own. Their order
// matters in two places: "empty" wants a fresh system, and "claims" comes before
// the groups that leave tasks in the queue.
func TestRoutes(t *testing.T) {
	t.Parallel()
	c := stacktest.Start(t, stacktest.Options{}).Client()
	groups := []struct {
		name string
		run  func(*testing.T, *stacktest.Client)
	}{
		{"empty", emptySystem},
		{"health", healthRoute},
		{"claims", claimRoute},
		{"dispatch", dispatchRoute},
		{"tasks", taskRoutes},
		{"states", stateDiagram},
		{"leases", leaseRoutes},
		{"choice", workerChoice},
		{"heartbeat", heartbeatRoute},
		{"complete", completeRoute},
		{"retry", retries},
		{"workers", workerRoutes},
		{"artifacts", artifactRoutes},
		{"lists", lists},
		{"audit", auditRoute},
		{"unknown routes", unknownRoutes},
		{"bad bodies", badBodies},
		{"bad paths", badPaths},
		{"bad queries", badQueries},
		{"bad requests", badRequests},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) { g.run(t, c) })
	}
	stacktest.Invariants(t, c)
}
