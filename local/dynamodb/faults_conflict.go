package dynamodb

import "sync"

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
const textConflict = "Transaction is ongoing for the item"

var (
	errConflict = failure("TransactionConflictException", textConflict)
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#API_TransactWriteItems_Errors
	errInProgress = failure("TransactionInProgressException", "The transaction with the given request token is already in progress.")
)

// conflictOn is the answer to a transaction of n actions, of which number i met
// another one.
func conflictOn(n, i int) *apiError {
	reasons := make([]reason, n)
	reasons[i] = reason{code: "TransactionConflict", message: textConflict}
	return cancelled(reasons)
}

// flight knows which items are being changed: from when the writer accepted a
// change until it is on disk.
type flight struct {
	mu           sync.Mutex
	transactions map[string]int // by key in the store: how many
	singles      map[string]int
	tokens       map[string]int
}

func newFlight() *flight {
	return &flight{transactions: map[string]int{}, singles: map[string]int{}, tokens: map[string]int{}}
}

// tokenBusy tells whether a transaction with this token is under way.
func (f *flight) tokenBusy(t *token) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens[t.text] > 0
}

// meets returns the first change that meets one under way.
func (f *flight) meets(r *write) (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range r.changes {
		key := r.changes[i].key
		if f.transactions[string(key)] > 0 || r.transaction && f.singles[string(key)] > 0 {
			return i, true
		}
	}
	return 0, false
}

// changing returns the first of the keys that is being changed.
func (f *flight) changing(gets []*get) (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, g := range gets {
		if f.transactions[string(g.key)] > 0 || f.singles[string(g.key)] > 0 {
			return i, true
		}
	}
	return 0, false
}

// add notes by n, 1 or -1, a write that was accepted or that has ended.
func (f *flight) add(r *write, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := f.singles
	if r.transaction {
		keys = f.transactions
	}
	for i := range r.changes {
		if r.changes[i].left {
			continue
		}
		noted(keys, string(r.changes[i].key), n)
	}
	if r.token != nil {
		noted(f.tokens, r.token.text, n)
	}
}

func noted(m map[string]int, key string, n int) {
	if m[key] += n; m[key] == 0 {
		delete(m, key)
	}
}

// busy refuses a transaction whose token is in use. Only the writer may call it.
func (f *faults) busy(r *write) error {
	if f.flight != nil && r.token != nil && f.flight.tokenBusy(r.token) {
		return errInProgress
	}
	return nil
}

// refuse decides whether a write, not a repeated one, is refused before it is
// looked at: throttled or in conflict. Only the writer may call it.
func (f *faults) refuse(r *write, region string) error {
	if f.dice[drawThrottles].hit(f.Throttles) {
		i := f.dice[drawThrottles].below(len(r.changes))
		t := &throttle{r.changes[i].table, nil, true}
		if r.transaction {
			return throttledTransaction(len(r.changes), i, t)
		}
		return t.answer(region)
	}
	if r.batch {
		return nil
	}
	i, met := 0, f.dice[drawConflicts].hit(f.Conflicts)
	if met {
		i = f.dice[drawConflicts].below(len(r.changes))
	} else if f.flight != nil {
		i, met = f.flight.meets(r)
	}
	switch {
	case !met:
		return nil
	case r.transaction:
		return conflictOn(len(r.changes), i)
	}
	return errConflict
}

// accept notes that r is under way. Only the writer may call it.
func (f *faults) accept(r *write) {
	if f.flight != nil {
		f.flight.add(r, 1)
		r.flying = true
	}
}

// land notes that r is on disk, or will never be.
func (f *faults) land(r *write) {
	if r.flying {
		f.flight.add(r, -1)
		r.flying = false
	}
}

// refuseGets decides whether a transaction of reads is refused before it is
// looked at.
func (f *faults) refuseGets(gets []*get) error {
	if f.dice[drawThrottles].hit(f.Throttles) {
		i := f.dice[drawThrottles].below(len(gets))
		return throttledTransaction(len(gets), i, &throttle{table: gets[i].table})
	}
	i, met := 0, f.dice[drawConflicts].hit(f.Conflicts)
	if met {
		i = f.dice[drawConflicts].below(len(gets))
	} else if f.flight != nil {
		i, met = f.flight.changing(gets)
	}
	if met {
		return conflictOn(len(gets), i)
	}
	return nil
}
