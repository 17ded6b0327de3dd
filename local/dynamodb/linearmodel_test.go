package dynamodb

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// The two kinds of histories whose linearizability is checked. An operation whose
// outcome is unknown (its server was killed) never returns: it may have happened
// at any time since, or, at the end of all, never.

const unanswered = math.MaxInt64

// register is an operation on one item that has a number; 0 stands for no item.
type register struct {
	item   int
	verb   string // put, get, swap, delete
	from   int    // of a swap: the number that must be there
	number int    // to put or to swap in
}

// registerAnswer says what was there before.
type registerAnswer struct {
	was     int
	refused bool // a swap's condition failed
	unknown bool
}

var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byItem := map[int][]porcupine.Operation{}
		for _, op := range history {
			i := op.Input.(register).item
			byItem[i] = append(byItem[i], op)
		}
		return slices.Collect(maps.Values(byItem))
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		is, op, got := state.(int), input.(register), output.(registerAnswer)
		refused := op.verb == "swap" && is != op.from
		if !got.unknown && (got.was != is || got.refused != refused) {
			return false, is
		}
		switch {
		case refused || op.verb == "get":
			return true, is
		case op.verb == "delete":
			return true, 0
		}
		return true, op.number
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

const accounts = 4

// balances are those of all accounts.
type balances [accounts]int

// transfer moves a sum between two accounts in one transaction, if the first has
// it; from and to equal: it reads all accounts in one transaction.
type transfer struct{ from, to, sum int }

type transferAnswer struct {
	read             balances
	refused, unknown bool
}

var bank = porcupine.Model{
	Init: func() any { return balances{100, 100, 100, 100} },
	Step: func(state, input, output any) (bool, any) {
		is, op, got := state.(balances), input.(transfer), output.(transferAnswer)
		if op.from == op.to {
			return got.unknown || got.read == is, is
		}
		refused := is[op.from] < op.sum
		if !got.unknown && got.refused != refused {
			return false, is
		}
		if !refused {
			is[op.from] -= op.sum
			is[op.to] += op.sum
		}
		return true, is
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// history collects the operations of all clients.
type history struct {
	begun time.Time
	ops   chan porcupine.Operation
}

// record does one operation; do tells its answer, and whether that is unknown.
func (h *history) record(client int, input any, do func() (output any, unknown bool)) (unknown bool) {
	called := time.Since(h.begun).Nanoseconds()
	output, unknown := do()
	op := porcupine.Operation{ClientId: client, Input: input, Call: called, Output: output, Return: time.Since(h.begun).Nanoseconds()}
	if unknown {
		op.Return = unanswered
	}
	h.ops <- op
	return unknown
}

func (h *history) all() []porcupine.Operation {
	close(h.ops)
	var list []porcupine.Operation
	for op := range h.ops {
		list = append(list, op)
	}
	return list
}
