// Bench measures the started stack over HTTPS and prints a Markdown table. The
// floor beside it is what the same client reaches, in the same run, on a server
// that does nothing.
//
//	go run ./local/bench [-seconds 10] [-profile cpu.pprof]
//
// It judges nothing: figures that are asked for stand beside those measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// stored is how many tasks lie in the table for the second part.
const stored = 20_000

// concurrency lists the numbers of clients that are measured.
var concurrency = []int{8, 32}

func main() {
	seconds := flag.Int("seconds", 10, "how long each part is measured")
	profile := flag.String("profile", "", "write a CPU profile of the stack under 8 clients to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := bench{part: time.Duration(*seconds) * time.Second, profile: *profile}
	err := b.run(ctx)
	stacktest.RemoveBuilds()
	if err != nil {
		log.Fatal(err)
	}
}

// bench is one run: how long a part is measured, and what was found.
type bench struct {
	part    time.Duration
	profile string // "" = none

	floors map[int][]float64 // requests/s by clients: before and after
	empty  map[int]figures   // lifecycles on a fresh stack
	full   map[int]figures   // lifecycles with many tasks stored
	memory int64             // most bytes resident
}

func (b *bench) run(ctx context.Context) error {
	b.floors, b.empty, b.full = map[int][]float64{}, map[int]figures{}, map[int]figures{}
	fmt.Println(stacktest.Measured())
	if err := b.floor(ctx); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	if err := b.stack(ctx); err != nil {
		return fmt.Errorf("stack: %w", err)
	}
	if err := b.floor(ctx); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	b.print()
	functions, err := measureFunctions(ctx)
	if err != nil {
		return fmt.Errorf("functions: %w", err)
	}
	printFunctions(functions)
	return nil
}

// stack measures lifecycles on a fresh stack, then with many tasks stored.
func (b *bench) stack(ctx context.Context) error {
	opts := stacktest.Options{Parameters: map[string]string{"ClientRequestsPerMinute": "60000000"}}
	var pprof string
	if b.profile != "" {
		pprof = stacktest.FreeAddress(ctx)
		opts.Env = append(opts.Env, "BLOOM_PPROF="+pprof)
	}
	s, err := stacktest.Launch(ctx, opts)
	if err != nil {
		return err
	}
	defer s.Close()
	if b.profile != "" {
		go saveProfile(ctx, pprof, b.profile, b.part)
	}
	if err := b.lifecycles(ctx, s, b.empty); err != nil {
		return fmt.Errorf("%w\n%s", err, s.Log())
	}
	if err := store(ctx, s.Client(), stored); err != nil {
		return fmt.Errorf("%w\n%s", err, s.Log())
	}
	if err := b.lifecycles(ctx, s, b.full); err != nil {
		return fmt.Errorf("%w\n%s", err, s.Log())
	}
	if b.memory, err = stacktest.PeakMemory(s.PID()); err != nil {
		return err
	}
	return s.Terminate()
}

func (b *bench) lifecycles(ctx context.Context, s *stacktest.Stack, into map[int]figures) error {
	for _, n := range concurrency {
		work, err := lifecycle(ctx, s.Client(), n)
		if err != nil {
			return err
		}
		before, err := stacktest.CPUTime(s.PID())
		if err != nil {
			return err
		}
		f, err := measure(ctx, n, b.part, work)
		if err != nil {
			return err
		}
		after, err := stacktest.CPUTime(s.PID())
		if err != nil {
			return err
		}
		f.cpu = (after - before) / time.Duration(max(1, f.all))
		into[n] = f
	}
	return nil
}

// print shows the table of lifecycles.
func (b *bench) print() {
	fmt.Printf("\n| clients | stored | lifecycles/s | p50 | p99 | CPU of the stack each | of the floor | floor, requests/s |\n")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, n := range concurrency {
		b.row(n, "none before", b.empty[n])
		b.row(n, fmt.Sprintf("%d (%+.1f %%)", stored, 100*(b.full[n].rate/b.empty[n].rate-1)), b.full[n])
	}
	fmt.Println("| asked | within 10 % | | | ≤ 30, ≤ 90 ms | | ≥ 0.12 | |")
	fmt.Printf("\nMost memory the stack took: %d MB (asked: ≤ 300 MB).\n", b.memory>>20)
}

func (b *bench) row(n int, stored string, f figures) {
	floors := b.floors[n]
	fmt.Printf("| %d | %s | %.0f | %s | %s | %s | %.3f | %.0f before, %.0f after |\n",
		n, stored, f.rate, ms(f.p50), ms(f.p99), ms(f.cpu), 4*f.rate/mean(floors), floors[0], floors[1])
}
