package dynamo_test

import (
	"fmt"
	"strings"
	"sync"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// meter adds up the units that calls consume, step by step.
type meter struct {
	mu    sync.Mutex
	steps []string
	sums  []dynamo.Units
	now   dynamo.Units
}

// meter has the rig's table measured from now on.
func (r *rig) meter() *meter {
	m := &meter{}
	r.Table = r.another(2)
	r.Observe(func(u dynamo.Units) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.now = add(m.now, u)
	})
	return m
}

func add(a, b dynamo.Units) dynamo.Units {
	return dynamo.Units{WriteBase: a.WriteBase + b.WriteBase, WriteIndex: a.WriteIndex + b.WriteIndex, Read: a.Read + b.Read}
}

// step ends a step: what was consumed since the one before it is its own.
func (m *meter) step(name string) dynamo.Units {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.now
	m.steps, m.sums, m.now = append(m.steps, name), append(m.sums, u), dynamo.Units{}
	return u
}

func (m *meter) total() (sum dynamo.Units) {
	for _, u := range m.sums {
		sum = add(sum, u)
	}
	return sum
}

func (m *meter) String() string {
	var b strings.Builder
	row := func(name string, u dynamo.Units) {
		fmt.Fprintf(&b, "%-20s %5.1f write units (%4.1f table, %4.1f indexes) %5.1f read units\n",
			name, u.WriteBase+u.WriteIndex, u.WriteBase, u.WriteIndex, u.Read)
	}
	for n, u := range m.sums {
		row(m.steps[n], u)
	}
	row("in all", m.total())
	return b.String()
}
