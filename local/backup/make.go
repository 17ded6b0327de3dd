package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

const (
	// patience is how long Make waits for a stack that holds the folder and does not answer yet: one that is starting.
	patience = 10 * time.Second
	// takeTime is how long a stack may take to read its small files and take its moment.
	takeTime = 30 * time.Second
)

// Make writes a backup of the data folder dir to the file to. A stack that runs on dir makes it while it goes on; else Make
// holds the folder itself for that time. An error is one sentence; then the file is as it was before.
func Make(ctx context.Context, dir, to string) (Summary, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Summary{}, fmt.Errorf("the data folder %s cannot be found: %w", dir, cause(err))
	}
	if !datadir.IsData(dir) {
		return Summary{}, fmt.Errorf("there is no data of this program in %s: name its folder with -data", dir)
	}
	if info, err := os.Stat(to); err == nil && !info.Mode().IsRegular() {
		return Summary{}, fmt.Errorf("%s is no file that a backup could replace: name another with -to", to)
	}
	return save(ctx, to, func(w io.Writer) (Summary, error) { return makeInto(ctx, w, dir) })
}

// makeInto finds out who holds the folder.
func makeInto(ctx context.Context, w io.Writer, dir string) (Summary, error) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); ; {
		d, err := datadir.Open(dir)
		if err == nil {
			defer func() { _ = d.Close() }()
			return makeAlone(ctx, w, d)
		}
		if !errors.Is(err, datadir.ErrInUse) {
			return Summary{}, err
		}
		conn, dialErr := dial(ctx, dir)
		if dialErr == nil {
			return makeByStack(ctx, w, conn)
		}
		if time.Now().After(deadline) {
			return Summary{}, fmt.Errorf("%w; it takes no backups (%w): it is starting, stopping or of an older version", err, cause(dialErr))
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return Summary{}, ctx.Err()
		}
	}
}

func dial(ctx context.Context, dir string) (conn net.Conn, err error) {
	err = withShortPath(dir, socketName, func(path string) error {
		dialer := net.Dialer{Timeout: stall}
		conn, err = dialer.DialContext(ctx, "unix", path)
		return err
	})
	return conn, err
}

var errEnded = errors.New("the running stack ended in the middle of the backup, or has no time for it: nothing was written")

// makeByStack asks the stack behind conn.
func makeByStack(ctx context.Context, w io.Writer, conn net.Conn) (Summary, error) {
	transport := &http.Transport{
		DialContext:           func(context.Context, string, string) (net.Conn, error) { return stalling{conn}, nil },
		DisableKeepAlives:     true,
		ResponseHeaderTimeout: takeTime,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stack"+path, nil)
	if err != nil {
		return Summary{}, err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return Summary{}, fmt.Errorf("%w (%w)", errEnded, err)
	}
	defer func() { _ = res.Body.Close() }() // what it held has been read
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return Summary{}, fmt.Errorf("the running stack refuses: %s", bytes.TrimSpace(text))
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return Summary{}, fmt.Errorf("%w (%w)", errEnded, err)
	}
	var end outcome
	if err := json.Unmarshal([]byte(res.Trailer.Get(outcomeTrailer)), &end); err != nil {
		return Summary{}, errEnded
	}
	if end.Error != "" {
		return Summary{}, errors.New(end.Error)
	}
	return end.Summary, nil
}

// stalling gives each read from the stack its time.
type stalling struct{ net.Conn }

func (c stalling) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// makeAlone opens the stores of a folder that nobody else holds.
func makeAlone(ctx context.Context, w io.Writer, d *datadir.Dir) (summary Summary, err error) {
	var opened []*store.Store
	defer func() {
		for _, s := range opened {
			if cerr := s.Close(); err == nil {
				err = cerr
			}
		}
	}()
	open := func(folder string) (*store.View, error) {
		path := d.Path(filepath.FromSlash(folder))
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, nil // it is on another server
		}
		s, err := store.Open(path, store.Options{})
		if err != nil {
			return nil, err
		}
		opened = append(opened, s)
		return s.View(), nil
	}
	return Write(ctx, w, d.Path(), func() (*Snapshot, error) {
		table, err := open(tableFolder)
		if err != nil {
			return nil, err
		}
		index, err := open(indexFolder)
		if err != nil {
			if table != nil {
				table.Release()
			}
			return nil, err
		}
		return &Snapshot{Table: table, Objects: index, Files: d.Path(filepath.FromSlash(filesFolder)), Release: func() {
			for _, v := range []*store.View{table, index} {
				if v != nil {
					v.Release()
				}
			}
		}}, nil
	})
}
