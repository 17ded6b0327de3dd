package dynamodb

import (
	"context"
	"fmt"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Limits of one commit. There is no artificial delay: a commit takes what is
// waiting when the one before it was handed to the disk.
const (
	maxGroup      = 256     // requests
	maxGroupBytes = 8 << 20 // past this no further request is taken in
	queueLength   = 512     // requests that may wait; more wait in their callers
)

// write is one request that changes something.
type write struct {
	changes     []change
	transaction bool   // all changes or none
	token       *token // of a transaction, nil for none
	batch       bool   // each change by itself
	// faults are those of the server if a client sent the request; nil for none.
	faults *faults
	flying bool // noted in faults as under way
	// exec is carried out in place of changes: it changes the catalog, or what the
	// server keeps by itself. publish, if not nil, is called once that is durable.
	exec func(*writer) (publish func(), err error)

	// The outcome, valid once done is closed.
	replayed bool // the token was used before: nothing was done now
	err      error
	done     chan struct{}
}

// submit hands r to the writer and waits until its outcome is durable. If ctx
// ends before, the outcome is unknown and r must not be touched again.
func (s *Server) submit(ctx context.Context, r *write) error {
	if err := s.store.Writable(); err != nil {
		return internal(err)
	}
	r.done = make(chan struct{})
	select {
	case s.writes <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.store.Failed():
		return internal(s.store.Err())
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.store.Failed():
		return internal(s.store.Err())
	}
}

// writer carries out all changes, one after the other: what each sees is the
// outcome of the one before it. It belongs to one goroutine.
type writer struct {
	server  *Server
	store   *store.Store
	catalog *catalog // the newest, durable or not
	items   *itemCache
	batch   *store.Batch
	publish []func()          // to call when the batch is durable
	tokens  map[string]*token // used in this batch: the store does not show them yet
	used    *usedTokens
	tallies map[uint32]*tally // by table
	moved   []uint32          // tables whose counts this batch moves
	recount []uint32          // tables to be counted from the end of this batch on
	seq     uint64            // the last sequence number given
	records map[uint32]int    // by stream: those in its open shard, since the server was opened
	now     int64             // Unix ms, as of this commit

	key, keys, entry, image, record []byte // scratch
}

func (w *writer) run() {
	for first := range w.server.writes {
		w.commit(w.collect(first))
	}
}

// collect takes the requests that are waiting.
func (w *writer) collect(first *write) []*write {
	group := make([]*write, 1, 1+min(len(w.server.writes), maxGroup))
	group[0] = first
	for len(group) < maxGroup {
		select {
		case r, ok := <-w.server.writes:
			if !ok {
				return group
			}
			group = append(group, r)
		default:
			return group
		}
	}
	return group
}

func (w *writer) commit(group []*write) {
	for len(group) > 0 {
		w.begin()
		n := 0
		for n < len(group) && w.batch.Len() < maxGroupBytes {
			w.handle(group[n])
			n++
		}
		w.saveCounts()
		part, publish := group[:n], w.publish
		group = group[n:]
		w.store.Commit(w.batch, func(err error) {
			if err == nil {
				for _, f := range publish {
					f()
				}
			}
			for _, r := range part {
				if err != nil {
					r.err = internal(err)
				}
				if r.faults != nil {
					r.faults.land(r)
				}
				close(r.done)
			}
		})
	}
}

func (w *writer) begin() {
	w.batch = w.store.NewBatch()
	w.publish = nil
	clear(w.tokens)
	w.now = w.server.now().UnixMilli()
	w.used.turn(periodOf(w.now))
	w.items.turn()
	w.rollShards()
}

// handle carries out one request within the batch. A request that fails has
// written nothing.
func (w *writer) handle(r *write) {
	if r.err = w.store.Writable(); r.err != nil {
		r.err = internal(r.err)
		return
	}
	if r.exec != nil {
		var publish func()
		if publish, r.err = r.exec(w); publish != nil {
			w.publish = append(w.publish, publish)
		}
		return
	}
	if r.faults != nil {
		if r.err = r.faults.busy(r); r.err != nil {
			return
		}
	}
	if r.token != nil {
		if r.replayed, r.err = w.tokenUsed(r.token); r.replayed || r.err != nil {
			return
		}
	}
	if r.err = w.decide(r); r.err != nil {
		return
	}
	for i := range r.changes {
		if !r.changes[i].left {
			w.apply(&r.changes[i])
		}
	}
	if r.token != nil {
		w.useToken(r.token)
	}
}

// decide evaluates a request, and lets its faults refuse it.
func (w *writer) decide(r *write) error {
	f := r.faults
	if f == nil {
		return w.evaluate(r)
	}
	if err := f.refuse(r, w.server.region); err != nil {
		return err
	}
	err := f.chargeWrite(r, w.evaluate(r), w.server.region)
	if err == nil {
		f.accept(r)
	}
	return err
}

func (w *writer) evaluate(r *write) (err error) {
	defer func() {
		// A fault in the evaluation of one request must not take the rest down.
		if p := recover(); p != nil {
			err = internal(fmt.Errorf("evaluating an expression: %v", p))
		}
	}()
	var failed error
	for i := range r.changes {
		c := &r.changes[i]
		t := w.catalog.byID[c.table.ID]
		if t == nil {
			return errNoTable
		}
		old, err := w.load(c.key)
		if err != nil {
			return internal(err)
		}
		if c.evaluate(t, old.item); c.err != nil && failed == nil {
			failed = c.err
		}
	}
	if failed != nil && r.transaction {
		return cancelled(reasonsOf(r.changes))
	}
	return failed
}

// load returns the item under key, as the changes so far left it.
func (w *writer) load(key []byte) (state, error) {
	st, err := w.peek(key)
	if err == nil {
		w.items.put(string(key), st)
	}
	return st, err
}

// peek is load for what will most likely not be asked for again.
func (w *writer) peek(key []byte) (state, error) {
	if st, ok := w.items.get(key); ok {
		return st, nil
	}
	stored, ok, err := w.store.Latest(nil, key)
	if err != nil {
		return state{}, err
	}
	var st state
	if ok {
		item, err := value.DecodeStored(stored)
		if err != nil {
			return state{}, err
		}
		st = state{item: item, stored: stored, size: value.Size(item)}
	}
	return st, nil
}
