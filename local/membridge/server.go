// Package membridge is the built-in Membridge of one machine: the control plane that knows the worker agents, the memory-sync
// projects, their nodes, and which node is primary. It speaks the protocol of the original Membridge 0.3.0 and keeps its state
// in the runtime's table.
//
// It adds: a worker's status, capabilities and ip_addrs with its registration; an epoch, a time limit and needs_ui_selection to
// a promotion, which refuses a node it does not know and is written to projects/{cid}/leadership/lease.json in the bucket; and
// an agent or worker of a node's name is alive when the node's heartbeat comes.
//
// Not supported: POST /sync/pull and /sync/push, with which the original calls its agents (404), and so GET /jobs has none;
// /docs, /redoc and /openapi.json.
package membridge

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	shared "github.com/bloom-runtime/bloom/shared/membridge"
)

// Version is what /health says: that of the original whose protocol this is.
const Version = "0.3.0"

// Options are what a Server is made from.
type Options struct {
	Table  *dynamo.Table
	Bucket *blob.Bucket
	// Key is the admin key; it must not be empty.
	Key string
	Now clock.Now
	Log *slog.Logger
}

// Server answers the protocol. It is safe for concurrent use.
type Server struct {
	Options
	routes []route
	leases leaseWriter
}

// New returns the server.
func New(o Options) *Server {
	s := &Server{Options: o, leases: leaseWriter{table: o.Table, bucket: o.Bucket}}
	s.routes = []route{
		{http.MethodGet, "/health", s.health},
		{http.MethodGet, "/projects", s.listProjects},
		{http.MethodPost, "/projects", s.createProject},
		{http.MethodDelete, "/projects/{}", s.deleteProject},
		{http.MethodGet, "/agents", s.listAgents},
		{http.MethodPost, "/agents", s.registerAgent},
		{http.MethodDelete, "/agents/{}", s.removeAgent},
		{http.MethodPost, "/sync/pull", s.noSync},
		{http.MethodPost, "/sync/push", s.noSync},
		{http.MethodGet, "/jobs", s.listJobs},
		{http.MethodGet, "/jobs/{}", s.getJob},
		{http.MethodPost, "/agent/heartbeat", s.heartbeat},
		{http.MethodGet, "/projects/{}/nodes", s.listNodes},
		{http.MethodGet, "/projects/{}/leadership", s.getLeadership},
		{http.MethodPost, "/projects/{}/leadership/select", s.selectLeadership},
		{http.MethodGet, "/ui", s.ui},
		{http.MethodGet, page, s.page},
	}
	return s
}

// HTTPServer serves it with limits on how long a client may take.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

// request is a call that has been let in.
type request struct {
	*http.Request
	param string // what stands for {} in the route's path, decoded
}

// answer is what a route answers: a body as JSON; nil = none.
type answer struct {
	status int
	body   any
}

// route is one method of one path, in which {} stands for a segment.
type route struct {
	method, path string
	answer       func(request) (answer, error)
}

// match tells whether the path is the route's, and what stands for {}.
func (r route) match(path string) (param string, ok bool) {
	before, after, wild := strings.Cut(r.path, "{}")
	if !wild {
		return "", path == r.path
	}
	param, ok = strings.CutPrefix(path, before)
	if ok {
		param, ok = strings.CutSuffix(param, after)
	}
	return param, ok && param != "" && !strings.Contains(param, "/")
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	if id == "" {
		id = strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	}
	w.Header().Set("X-Request-Id", id)
	path := r.URL.Path
	if !isOpen(path) && !s.authorized(r) {
		write(w, answer{http.StatusUnauthorized, detail{"Unauthorized — invalid or missing X-MEMBRIDGE-ADMIN header"}})
		return
	}
	var allowed string
	for _, route := range s.routes {
		param, ok := route.match(path)
		if !ok {
			continue
		}
		if route.method == r.Method {
			s.serve(w, route, request{r, param}, id)
			return
		}
		if allowed == "" {
			allowed = route.method
		}
	}
	switch {
	case allowed != "":
		w.Header().Set("Allow", allowed)
		write(w, answer{http.StatusMethodNotAllowed, detail{"Method Not Allowed"}})
	case s.otherwiseSlashed(path):
		to := *r.URL
		to.Path, to.RawPath = strings.TrimSuffix(path, "/"), ""
		w.Header().Set("Location", to.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		write(w, answer{http.StatusNotFound, detail{"Not Found"}})
	}
}

// isOpen are the paths that need no key.
func isOpen(path string) bool {
	return path == "/health" || path == "/ui" || strings.HasPrefix(path, "/static/")
}

// authorized compares the key in constant time, whatever its length.
func (s *Server) authorized(r *http.Request) bool {
	got, want := sha256.Sum256([]byte(r.Header.Get(shared.AdminHeader))), sha256.Sum256([]byte(s.Key))
	return s.Key != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// otherwiseSlashed says that the path without its last slash is one of ours. "//" begins no path of ours: a Location that
// begins so would name another host.
func (s *Server) otherwiseSlashed(path string) bool {
	short, ok := strings.CutSuffix(path, "/")
	return ok && !strings.HasPrefix(path, "//") && slices.ContainsFunc(s.routes, func(r route) bool { _, ok := r.match(short); return ok })
}

func (s *Server) serve(w http.ResponseWriter, route route, r request, id string) {
	a, err := route.answer(r)
	if err != nil {
		a = s.failure(err, id)
	}
	switch b := a.body.(type) {
	case html:
		b.write(w)
	case redirect:
		w.Header().Set("Location", string(b))
		w.WriteHeader(a.status)
	default:
		write(w, a)
	}
}

// detail is the body of an error.
type detail struct {
	Detail any `json:"detail"`
}

// statuses are the answers to the faults of what lies below.
var statuses = map[fault.Code]int{
	fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict, fault.Unavailable: http.StatusServiceUnavailable,
	fault.TooLarge: http.StatusRequestEntityTooLarge, fault.Invalid: http.StatusBadRequest,
}

func (s *Server) failure(err error, id string) answer {
	if bad, ok := errors.AsType[problems](err); ok {
		return answer{http.StatusUnprocessableEntity, detail{bad}}
	}
	f, ok := errors.AsType[*fault.Error](err)
	status := 0
	if ok {
		status = statuses[f.Code]
	}
	if status == 0 || status >= 500 {
		s.Log.Error("membridge: a call failed", "request_id", id, "error", err)
	}
	if status == 0 {
		return answer{http.StatusInternalServerError, detail{"Internal Server Error"}}
	}
	return answer{status, detail{f.Message}}
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a.body); err != nil { // a defect: every body is a struct of ours
		a.status = http.StatusInternalServerError
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(bytes.TrimRight(b.Bytes(), "\n")) // the client may have gone
}

func (s *Server) health(r request) (answer, error) {
	projects, agents, err := s.Table.RegistrySize(r.Context())
	return answer{http.StatusOK, struct {
		Status   string `json:"status"`
		Service  string `json:"service"`
		Version  string `json:"version"`
		Projects int    `json:"projects"`
		Agents   int    `json:"agents"`
	}{"ok", "membridge-control-plane", Version, projects, agents}}, err
}
