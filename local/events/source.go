package events

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/bloom-runtime/bloom/local/template"
)

const (
	// lookEvery is how often new shards are looked for while none ends.
	lookEvery = 10 * time.Second
	// callTimeout bounds one call of the stream with its retries.
	callTimeout = 10 * time.Second
	// firstPause and longestPause bound the waits between tries of what fails.
	firstPause, longestPause = 200 * time.Millisecond, 30 * time.Second
)

// source reads a table's stream for a function: a reader a shard, a shard after its parent, each shard in order.
type source struct {
	id       string
	table    string
	stream   template.Stream
	filters  []*pattern
	function *function
	client   client
	places   *places
	again    *again
	failed   func(ctx context.Context, key string, body []byte) error
	log      *slog.Logger

	mu      sync.Mutex
	running map[string]bool // shards being read
	ended   chan struct{}   // a reader has ended
}

// run reads until ctx ends and then saves the places.
func (s *source) run(ctx context.Context) {
	var readers sync.WaitGroup
	readers.Go(func() { s.saveNowAndThen(ctx) })
	pause := firstPause
	for ctx.Err() == nil {
		wait := lookEvery
		if err := s.look(ctx, &readers); err != nil {
			if ctx.Err() == nil {
				s.log.Error("the stream cannot be read", "error", err)
			}
			wait, pause = pause, min(2*pause, longestPause)
		} else {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-s.ended:
		case <-time.After(wait):
		}
	}
	readers.Wait()
	s.save()
}

func (s *source) saveNowAndThen(ctx context.Context) {
	for sleep(ctx, saveEvery) {
		s.save()
	}
}

func (s *source) save() {
	if err := s.places.save(); err != nil {
		s.log.Error("the place in the stream cannot be saved; records since the last save come again after a restart", "error", err)
	}
}

// look starts a reader for each shard whose parent has been read to its end or is no more.
func (s *source) look(ctx context.Context, readers *sync.WaitGroup) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	arn, err := s.client.find(call, s.table)
	if err != nil {
		return err
	}
	shards, err := s.client.shards(call, arn)
	if err != nil {
		return err
	}
	s.places.follow(arn, shards)
	listed := make(map[string]bool, len(shards))
	for _, sh := range shards {
		listed[sh.id] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range shards {
		at := s.places.get(sh.id)
		if s.running[sh.id] || at.Done || s.running[sh.parent] || listed[sh.parent] && !s.places.get(sh.parent).Done {
			continue
		}
		s.running[sh.id] = true
		r := &reader{source: s, arn: arn, shard: sh.id, log: s.log.With("shard", sh.id)}
		if at.Window != nil && s.stream.TumblingWindow > 0 {
			r.window = *at.Window
		}
		readers.Go(func() {
			r.run(ctx)
			s.mu.Lock()
			delete(s.running, sh.id)
			s.mu.Unlock()
			select {
			case s.ended <- struct{}{}:
			default:
			}
		})
	}
	return nil
}

// gone says that what was asked for is no more and has to be looked for again.
func gone(err error) bool {
	_, ok := errors.AsType[*types.ResourceNotFoundException](err)
	return ok
}

func expired(err error) bool {
	_, ok := errors.AsType[*types.ExpiredIteratorException](err)
	return ok
}

func trimmed(err error) bool {
	_, ok := errors.AsType[*types.TrimmedDataAccessException](err)
	return ok
}
