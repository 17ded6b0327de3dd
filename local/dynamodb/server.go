// Package dynamodb is a store that speaks Amazon DynamoDB's protocol, embedded
// and durable.
//
// A Server is an http.Handler; a program that embeds it gives HTTPClient to the
// AWS SDK and needs no socket. What a Server answered is on disk. See README.md
// for what it does, what it does only partly, and what it does not.
package dynamodb

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// Options of a server. The zero value works.
type Options struct {
	// Region appears in ARNs and stream records. Default us-east-1.
	Region string
	// OnFatal is called once, on a goroutine of its own, when the server can no
	// longer write or read its files (a disk error; a damaged file). The error is
	// one sentence; every write fails with it from then on. The process should
	// report it and end.
	OnFatal func(error)
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Faults are what AWS does now and then and this server does not: for tests.
	// Default none.
	Faults Faults

	// What tests make smaller. 0: as the constants of the same names say.
	sweepEvery time.Duration
	maxShard   int
}

// Server is an open database. Its methods may be called from any goroutine.
type Server struct {
	region  string
	now     func() time.Time
	store   *store.Store
	catalog atomic.Pointer[catalog] // the last durable one
	exprs   *expr.Cache
	writes  chan *write
	gaps    gaps
	// maxShard is how many records a shard takes before it is closed.
	maxShard int
	faults   *faults // nil: none

	gate   sync.RWMutex // held for reading by every request
	closed bool
	stop   chan struct{}
	wake   chan struct{}  // there is something to sweep
	work   sync.WaitGroup // writer, trimmer and sweeper
}

// parsedExpressions is how many texts of expressions are kept parsed.
const parsedExpressions = 1024

// storeMemory is what the store may keep in memory, in bytes.
const storeMemory = 64 << 20

// Open opens the database in dir, which is made if it is missing. An error is
// one sentence that says what to do; another process on dir, a damaged file and
// a full disk are told apart.
func Open(dir string, opts Options) (*Server, error) {
	st, err := store.Open(dir, store.Options{Memory: storeMemory, OnFatal: opts.OnFatal})
	if err != nil {
		return nil, err
	}
	s := &Server{
		region: opts.Region,
		now:    opts.Now,
		store:  st,
		exprs:  expr.NewCache(parsedExpressions),
		writes: make(chan *write, queueLength),
		stop:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
	}
	s.maxShard = cmp.Or(opts.maxShard, maxShard)
	if s.region == "" {
		s.region = "us-east-1"
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.faults, err = newFaults(opts.Faults, s); err != nil {
		_ = st.Close() // the first error says more
		return nil, err
	}
	w, uncounted, err := s.newWriter()
	if err != nil {
		_ = st.Close() // the first error says more
		return nil, fmt.Errorf("the table data in %s cannot be opened: %w", dir, err)
	}
	s.work.Go(w.run)
	s.work.Go(s.trimNowAndThen)
	s.work.Go(func() { s.sweepNowAndThen(cmp.Or(opts.sweepEvery, sweepEvery)) })
	if len(uncounted) > 0 {
		s.work.Go(func() { s.recount(uncounted) })
	}
	if s.faults != nil && s.faults.lag != nil {
		s.work.Go(func() { s.faults.lag.keep(s.stop) })
	}
	return s, nil
}

// newWriter also returns the tables that have no counts yet.
func (s *Server) newWriter() (w *writer, uncounted []uint32, err error) {
	view := s.store.View()
	defer view.Release()
	c, err := loadCatalog(view)
	if err != nil {
		return nil, nil, err
	}
	seq, err := lastSequence(view, c)
	if err != nil {
		return nil, nil, err
	}
	period := periodOf(s.now().UnixMilli())
	some, err := tokensLeft(view, period)
	if err != nil {
		return nil, nil, err
	}
	s.catalog.Store(c)
	w = &writer{
		server: s, store: s.store, catalog: c, items: newItemCache(), tokens: map[string]*token{},
		used: newUsedTokens(period, some), seq: seq, records: map[uint32]int{},
	}
	if uncounted, err = w.loadTallies(view); err != nil {
		return nil, nil, err
	}
	return w, uncounted, w.upgrade()
}

// View is the state of the whole database as of the last durable commit, for a
// backup. The caller releases it, before Close.
func (s *Server) View() *store.View { return s.store.View() }

// Close ends the server: requests under way are answered, later ones refused.
func (s *Server) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return nil
	}
	s.closed = true
	s.gate.Unlock()
	close(s.stop)
	close(s.writes)
	ended := make(chan struct{})
	go func() {
		s.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-s.store.Failed(): // the writer may wait for a disk that does not answer
	}
	return s.store.Close()
}

// enter lets a request in, or tells that the server is closed. Who was let in
// calls leave.
func (s *Server) enter() bool {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return false
	}
	return true
}

func (s *Server) leave() { s.gate.RUnlock() }
