package objects

import (
	"context"
	"errors"
	"syscall"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// change is one write that waits for its turn.
type change struct {
	key    []byte
	decide decision
	done   chan error
}

// decision sees what lies under the change's key, and writes to the batch or refuses.
type decision func(before []byte, there bool, b *store.Batch) error

var errClosed = errors.New("the object store is closed")

// apply has the writer decide and commit. It returns when the commit is on the disk; an error means that nothing changed,
// except that a caller whose context ended cannot know.
func (s *storage) apply(ctx context.Context, key []byte, decide decision) error {
	c := &change{key: key, decide: decide, done: make(chan error, 1)}
	select {
	case s.write <- c:
	case <-s.end:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the one writer: it takes what waits as one commit, so that many calls share an fsync.
func (s *storage) run() {
	for {
		select {
		case c := <-s.write:
			s.commit(c)
		case <-s.end:
			return
		}
	}
}

// commit applies c and whatever else waits. A second change of a key that is in the batch already starts the next one, since
// it has to see the first.
func (s *storage) commit(c *change) {
	for c != nil {
		batch := s.store.NewBatch()
		var waiting []*change
		keys := map[string]bool{}
		for c != nil && !keys[string(c.key)] {
			keys[string(c.key)] = true
			if err := s.decide(c, batch); err != nil {
				c.done <- err
			} else {
				waiting = append(waiting, c)
			}
			select {
			case c = <-s.write:
			default:
				c = nil
			}
		}
		s.store.Commit(batch, func(err error) {
			for _, w := range waiting {
				w.done <- err
			}
		})
	}
}

func (s *storage) decide(c *change, b *store.Batch) error {
	if err := s.store.Writable(); err != nil {
		return err
	}
	before, there, err := s.store.Latest(nil, c.key)
	if err != nil {
		return err
	}
	return c.decide(before, there, b)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
