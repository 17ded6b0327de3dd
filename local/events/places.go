package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// saveEvery bounds how often places are written. What was read since the last time is read again after a crash.
const saveEvery = time.Second

// place is how far a shard has been read.
type place struct {
	// Sequence is the number of the last record done; "" = none.
	Sequence string `json:"sequence,omitempty"`
	// Window is the tumbling window that was open then; nil = none.
	Window *window `json:"window,omitempty"`
	// Done means that the shard has ended and all of it was read.
	Done bool `json:"done,omitempty"`
}

func (p place) equal(other place) bool {
	return p.Sequence == other.Sequence && p.Done == other.Done && p.Window.equal(other.Window)
}

// places are the places of one event source, in a file. Moves are gathered in memory and saved now and then, and at the end.
type places struct {
	path string

	mu    sync.Mutex
	dirty bool
	file  placesFile
}

type placesFile struct {
	Stream string           `json:"stream"` // ARN
	Shards map[string]place `json:"shards"`
}

func openPlaces(path string) (*places, error) {
	p := &places{path: path, file: placesFile{Shards: map[string]place{}}}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(b, &p.file) != nil || p.file.Shards == nil {
		return nil, fmt.Errorf("%s is damaged: remove it, and the records of the last day are read again", path)
	}
	return p, nil
}

// follow keeps the places of these shards of the stream only. Another stream, which another table has, begins anew.
func (p *places) follow(stream string, shards []shard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := map[string]place{}
	if p.file.Stream == stream {
		for _, s := range shards {
			if at, ok := p.file.Shards[s.id]; ok {
				kept[s.id] = at
			}
		}
	}
	if p.file.Stream != stream || len(kept) != len(p.file.Shards) {
		p.file, p.dirty = placesFile{Stream: stream, Shards: kept}, true
	}
}

func (p *places) get(shard string) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file.Shards[shard]
}

func (p *places) set(shard string, at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.file.Shards[shard].equal(at) {
		p.file.Shards[shard], p.dirty = at, true
	}
}

// save writes the file if something moved.
func (p *places) save() error {
	p.mu.Lock()
	if !p.dirty {
		p.mu.Unlock()
		return nil
	}
	b, err := json.MarshalIndent(p.file, "", "  ")
	p.dirty = false
	p.mu.Unlock()
	if err == nil {
		err = datadir.WriteFile(p.path, append(b, '\n'))
	}
	if err != nil {
		p.mu.Lock()
		p.dirty = true
		p.mu.Unlock()
	}
	return err
}
