package membridge

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	shared "github.com/bloom-runtime/bloom/shared/membridge"
)

// CanonicalID is the id of the project of that name: the first 16 hex digits of its SHA-256.
func CanonicalID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:16]
}

// viewProject: a project that was created is manual, whatever heartbeats came for it.
func viewProject(p dynamo.Project) shared.Project {
	v := shared.Project{Name: p.Name, CanonicalID: p.CanonicalID, CreatedAt: secondsOrNull(p.CreatedAt),
		LastSeen: secondsOrNull(p.LastSeen), NodesCount: p.Nodes, Source: "manual"}
	if p.Name == "" {
		v.Name, v.Source = p.NodesName, "heartbeat"
	}
	return v
}

func (s *Server) listProjects(r request) (answer, error) {
	all, err := s.Table.Projects(r.Context())
	views := make([]shared.Project, len(all))
	for n, p := range all {
		views[n] = viewProject(p)
	}
	return answer{http.StatusOK, views}, err
}

func (s *Server) createProject(r request) (answer, error) {
	in, err := readInput(r)
	if err != nil {
		return answer{}, err
	}
	name := in.required("name", 1, maxName)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	p, err := s.Table.CreateProject(r.Context(), CanonicalID(name), name)
	p.LastSeen = 0 // the original's answer has none, whatever was heard before
	return answer{http.StatusCreated, viewProject(p)}, err
}

func (s *Server) deleteProject(r request) (answer, error) {
	if tooLong(r.param, maxName) {
		return answer{}, fault.New(fault.NotFound, "Project '%.40s…' not found", r.param)
	}
	return answer{status: http.StatusNoContent}, s.Table.DeleteProject(r.Context(), CanonicalID(r.param), r.param)
}
