package dynamodb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// BenchmarkOpenAfterKill opens what kill -9 leaves of a table of a million items,
// with an index and a stream, at the worst moment for it: when the log is full.
func BenchmarkOpenAfterKill(b *testing.B) {
	const (
		items = 1_000_000
		inLog = 6000 // items of 2.2 KB in memory each, with index entry and record: 13 of 16 MB
	)
	full := b.TempDir()
	s, err := Open(full, Options{})
	if err != nil {
		b.Fatal(err)
	}
	in := mainTable("bench")
	in.AttributeDefinitions = in.AttributeDefinitions[:4]
	in.GlobalSecondaryIndexes = in.GlobalSecondaryIndexes[:1]
	if _, err := client(s).CreateTable(context.Background(), in); err != nil {
		b.Fatal(err)
	}
	fillFast(b, s, 0, items)
	// A new log, then nearly as much as makes pebble begin the next one.
	n := items
	for began := newestLog(b, full); newestLog(b, full) == began; n += 100 {
		fillFast(b, s, n, n+100)
	}
	began := newestLog(b, full)
	fillFast(b, s, n, n+inLog)
	n += inLog
	if newestLog(b, full) != began {
		b.Fatal("the log is not what was to be measured")
	}
	killed := filepath.Join(b.TempDir(), "killed")
	copyDir(b, full, killed)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.StopTimer()
	for range b.N {
		dir := filepath.Join(b.TempDir(), "open")
		copyDir(b, killed, dir)
		b.StartTimer()
		began := time.Now()
		s, err := Open(dir, Options{})
		took := time.Since(began)
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		if got := described(b, client(s), "bench"); got[0].items != int64(n) {
			b.Errorf("%d items of %d", got[0].items, n)
		}
		b.ReportMetric(took.Seconds(), "s/open")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// fillFast puts items without the SDK, many to a commit.
func fillFast(b *testing.B, s *Server, from, to int) {
	b.Helper()
	text := strings.Repeat("v", 500)
	var g errgroup.Group
	g.SetLimit(benchClients)
	for n := from; n < to; n += 25 {
		g.Go(func() error {
			var all []string
			for i := n; i < min(n+25, to); i++ {
				all = append(all, fmt.Sprintf(`{"PutRequest":{"Item":{"PK":{"S":"task#%x"},"SK":{"S":"task"},"G1PK":{"S":"queue"},"G1SK":{"N":"%d"},"value":{"S":"%s"}}}}`,
					uint64(i)*0x9e3779b97f4a7c15, i, text))
			}
			_, err := s.batchWriteItem(context.Background(), `{"RequestItems":{"bench":[`+strings.Join(all, ",")+`]}}`)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// newestLog is the name of the log that is written now.
func newestLog(b *testing.B, dir string) string {
	b.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) == 0 {
		b.Fatal(logs, err)
	}
	return slices.Max(logs)
}

// copyDir copies the files of a store at work until nothing changed meanwhile:
// what a kill leaves is one moment. Sorted files never change and are linked.
func copyDir(b *testing.B, from, to string) {
	b.Helper()
	for {
		before := listing(b, from)
		if err := os.RemoveAll(to); err != nil {
			b.Fatal(err)
		}
		if err := os.MkdirAll(to, 0o700); err != nil {
			b.Fatal(err)
		}
		whole := true
		for name := range before {
			if err := linkOrCopy(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
				whole = false
			}
		}
		if whole && fmt.Sprint(before) == fmt.Sprint(listing(b, from)) {
			return
		}
	}
}

func listing(b *testing.B, dir string) map[string]int64 {
	b.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	all := map[string]int64{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all[e.Name()] = info.Size()
		}
	}
	return all
}

func linkOrCopy(from, to string) error {
	if strings.HasSuffix(from, ".sst") {
		return os.Link(from, to)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
