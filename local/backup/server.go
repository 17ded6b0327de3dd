package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// The command asks a running stack with one HTTP request on the socket, and gets the archive as the answer's body. How it
// ended comes as a trailer: an archive without it is not whole.
const (
	path           = "/backup"
	outcomeTrailer = "Backup-Outcome"
	// stall is how long either side may wait for the other before it gives up: an abandoned backup keeps old data alive.
	stall = 30 * time.Second
	// askTime is how long the request may take to arrive. The answer takes as long as it takes.
	askTime = 2 * time.Second
)

// outcome is how a backup ended.
type outcome struct {
	Summary
	Error string `json:"error,omitempty"` // a sentence; "" = it is whole
}

// Server answers backups of the data folder of a running stack.
type Server struct {
	dir    *datadir.Dir
	take   func() (*Snapshot, error)
	http   *http.Server
	cancel context.CancelFunc
	work   sync.WaitGroup
	busy   sync.Mutex // one backup at a time
}

// Listen answers on a socket in the data folder that only its owner may use (mode 0600). take gives the stores' present
// moment. A socket that a kill left behind is replaced: the caller holds the folder.
func Listen(dir *datadir.Dir, take func() (*Snapshot, error)) (*Server, error) {
	ln, err := listen(dir)
	if err != nil {
		return nil, fmt.Errorf("the socket %s cannot be made: %w", dir.Path(socketName), err)
	}
	s := &Server{dir: dir, take: take}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, s.serve)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: askTime, BaseContext: func(net.Listener) context.Context { return ctx }}
	s.work.Go(func() { _ = s.http.Serve(ln) }) // it ends with Close
	return s, nil
}

// listen makes the socket in a folder that nobody else may enter, so that nobody can connect before it has its mode.
func listen(dir *datadir.Dir) (net.Listener, error) {
	tmp, err := os.MkdirTemp(dir.Path(), datadir.TempPrefix)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	var ln *net.UnixListener
	err = withShortPath(tmp, "s", func(path string) error {
		var err error
		ln, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // it has another name by then
	made := filepath.Join(tmp, "s")
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, dir.Path(socketName))
	}
	if err != nil {
		_ = ln.Close() // the first error says more
		return nil, err
	}
	return ln, nil
}

// Close ends a backup that is under way and waits for it.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	s.work.Wait()
	// Whoever waits for a backup now waited for nothing.
	s.busy.Lock()
	defer s.busy.Unlock()
	if rerr := os.Remove(s.dir.Path(socketName)); err == nil && !errors.Is(rerr, os.ErrNotExist) {
		err = rerr
	}
	return err
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.busy.TryLock() {
		http.Error(w, "a backup of this data folder is being made already", http.StatusConflict)
		return
	}
	defer s.busy.Unlock()
	if r.Context().Err() != nil {
		return // the stack stops: its stores are closing
	}
	w.Header().Set("Trailer", outcomeTrailer)
	w.WriteHeader(http.StatusOK)
	ctl := http.NewResponseController(w)
	var end outcome
	summary, err := Write(r.Context(), answer{w, ctl}, s.dir.Path(), s.take)
	end.Summary = summary
	if err != nil {
		end.Error = err.Error()
	}
	text, err := json.Marshal(end)
	if err != nil {
		return // an answer without its end is no backup
	}
	w.Header().Set(outcomeTrailer, string(text))
}

// answer gives each write to a client its time.
type answer struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func (a answer) Write(p []byte) (int, error) {
	if err := a.ctl.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return a.w.Write(p)
}
