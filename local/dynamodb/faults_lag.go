package dynamodb

import (
	"sync"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// lagSteps is how many views are kept for the longest lag.
const lagSteps = 8

// lag keeps the views of the last moments.
type lag struct {
	store *store.Store
	span  time.Duration // the longest lag

	mu    sync.Mutex
	views []moment // the oldest first; at most lagSteps+1
}

// moment is a view that was the present one at some time.
type moment struct {
	view *store.View
	last time.Time // when it was present for the last time that is known
}

func newLag(st *store.Store, span time.Duration) *lag { return &lag{store: st, span: span} }

// keep takes a view now and then until stop is closed, and then lets go of all:
// nobody may ask for one any more.
func (l *lag) keep(stop <-chan struct{}) {
	ticker := time.NewTicker(max(l.span/lagSteps, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			l.step(now)
		case <-stop:
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, m := range l.views {
				m.view.Release()
			}
			l.views = nil
			return
		}
	}
}

func (l *lag) step(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	view := l.store.View()
	if n := len(l.views); n > 0 && l.views[n-1].view.Version() == view.Version() {
		l.views[n-1].last = now
		view.Release()
	} else {
		l.views = append(l.views, moment{view, now})
	}
	for len(l.views) > lagSteps || len(l.views) > 0 && now.Sub(l.views[0].last) > l.span {
		l.views[0].view.Release()
		l.views = append(l.views[:0], l.views[1:]...)
	}
}

// view returns a view that was present at most span ago, the present one among
// them. The caller releases it.
func (l *lag) view(d *dice, span time.Duration) *store.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	first := len(l.views)
	for first > 0 && now.Sub(l.views[first-1].last) <= span {
		first--
	}
	n := first + d.below(len(l.views)-first+1)
	if n == len(l.views) {
		return l.store.View()
	}
	return l.views[n].view.Retain()
}

// indexView is what a read of an index sees.
func (s *Server) indexView() *store.View { return s.laggingView(true) }

// tableView is what a read of a table sees.
func (s *Server) tableView(consistent bool) *store.View {
	if consistent {
		return s.store.View()
	}
	return s.laggingView(false)
}

func (s *Server) laggingView(index bool) *store.View {
	f := s.faults
	if f == nil || f.lag == nil {
		return s.store.View()
	}
	span := f.TableLag
	if index {
		span = f.IndexLag
	}
	if span == 0 {
		return s.store.View()
	}
	return f.lag.view(f.dice[drawLag], span)
}
