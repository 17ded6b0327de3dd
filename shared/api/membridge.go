package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/membridge"
)

// The routes under /api/membridge hand calls on to Membridge with the admin key, which stays here. They answer what it answers:
// 200 with its body; its 4xx with the same status, in our error shape; 502 when it can't be reached or makes no sense.

// GetMembridgeHealth is GET /api/membridge/health.
func GetMembridgeHealth(m Membridge) http.Handler {
	return handle(func(r *request) (response, error) { return m.ask(r, "/health") })
}

// ListProjects is GET /api/membridge/projects.
func ListProjects(m Membridge) http.Handler {
	return handle(func(r *request) (response, error) { return m.ask(r, "/projects") })
}

// GetLeadership is GET /api/membridge/projects/{cid}/leadership.
func GetLeadership(m Membridge) http.Handler { return ofProject(m, "/leadership") }

// ListNodes is GET /api/membridge/projects/{cid}/nodes.
func ListNodes(m Membridge) http.Handler { return ofProject(m, "/nodes") }

func ofProject(m Membridge, what string) http.Handler {
	return handle(func(r *request) (response, error) {
		cid, err := projectID(r)
		if err != nil {
			return response{}, err
		}
		return m.ask(r, "/projects/"+cid+what)
	})
}

// SelectLeadership is POST /api/membridge/projects/{cid}/leadership/select. A promotion is audited once Membridge has made it.
func SelectLeadership(table *dynamo.Table, m Membridge) http.Handler {
	return handle(func(r *request) (response, error) {
		cid, err := projectID(r)
		if err != nil {
			return response{}, err
		}
		p, err := readPromotion(r)
		if err != nil {
			return response{}, err
		}
		body, err := json.Marshal(p)
		if err != nil { // a string and a number always encode
			return response{}, err
		}
		s, err := m.server(r)
		if err != nil {
			return response{}, err
		}
		answer, err := m.Client.Post(r.Context(), s, "/projects/"+cid+"/leadership/select", body)
		if err != nil {
			return passOn(r, err)
		}
		err = table.Record(r.Context(), dynamo.AuditEntry{Action: "leadership_promote", EntityType: "membridge_project", EntityID: cid,
			Actor: r.actor, Detail: fmt.Sprintf("node %q is primary for %d s", p.PrimaryNodeID, p.LeaseSeconds)})
		return response{status: http.StatusOK, body: answer}, err
	})
}

// promotion is the body of a promotion, as Membridge takes it.
type promotion struct {
	PrimaryNodeID string `json:"primary_node_id"`
	LeaseSeconds  int64  `json:"lease_seconds"`
}

func readPromotion(r *request) (promotion, error) {
	in, err := readInput(r)
	if err != nil {
		return promotion{}, err
	}
	p := promotion{
		PrimaryNodeID: in.required("primary_node_id", maxNodeID),
		LeaseSeconds:  in.integer("lease_seconds", leaderSeconds, 1, maxLeaderSeconds),
	}
	return p, in.err()
}

// projectID reads the project's canonical id from the path. It becomes a part of Membridge's path, so nothing may be in it that
// has a meaning there.
func projectID(r *request) (string, error) {
	cid := r.PathValue("cid")
	plain := cid != "" && cid != "." && cid != ".." && len(cid) <= maxProjectID
	for _, c := range []byte(cid) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if plain {
		return cid, nil
	}
	const rule = "must be 1 to 128 letters, digits, dots, dashes and underscores, and not . or .."
	f := fault.New(fault.Invalid, "The project's canonical id %s", rule)
	f.Fields = map[string][]string{"cid": {rule}}
	return "", f
}

// server is the Membridge that was configured.
func (m Membridge) server(r *request) (membridge.Server, error) {
	s, err := m.Link.Load(r.Context())
	if err == nil && s.URL == "" {
		return s, fault.New(fault.Unreachable, notConfigured)
	}
	return s, err
}

// ask hands a GET on.
func (m Membridge) ask(r *request, path string) (response, error) {
	s, err := m.server(r)
	if err != nil {
		return response{}, err
	}
	answer, err := m.Client.Get(r.Context(), s, path)
	if err != nil {
		return passOn(r, err)
	}
	return response{status: http.StatusOK, body: answer}, nil
}

// passOn is the answer for a call that did not succeed.
func passOn(r *request, err error) (response, error) {
	refused, ok := errors.AsType[*membridge.StatusError](err)
	if !ok || refused.Status < 400 || refused.Status > 499 {
		return response{}, fault.New(fault.Unreachable, "%s", err)
	}
	sentence := refused.Error()
	if refused.Detail != "" && refused.Status != http.StatusUnauthorized && refused.Status != http.StatusForbidden {
		sentence = refused.Detail
	}
	return response{status: refused.Status, body: errorBody{Error: sentence, Code: fault.Refused, RequestID: r.requestID}}, nil
}
