// Bench measures the embedded DynamoDB through the SDK, in process, and prints
// Markdown: on an empty table and on one with many items, with what starting
// after a crash takes. Other servers of the protocol are measured in the same
// run, beside it, with the same calls.
//
//	go run ./local/dynamodb/bench [-seconds 5] [-items 1000000] [-beside NAME=URL]...
//
// It judges nothing: figures that are asked for stand beside those measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func main() {
	var o options
	flag.DurationVar(&o.part, "part", 5*time.Second, "how long each call is measured")
	flag.Int64Var(&o.items, "items", 1_000_000, "items in the full table")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of PutItem on the empty table to this file")
	flag.Func("beside", "NAME=URL of another server to measure; may be repeated", o.addServer)
	fill := flag.String("fill", "", "fill the directory with -items items, say so and wait for the end (for the program itself)")
	idle := flag.String("idle", "", "open the directory, say so and wait for the end (for the program itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *fill != "":
		err = fillAndWait(ctx, *fill, o.items)
	case *idle != "":
		err = openAndWait(ctx, *idle)
	default:
		err = o.run(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// options of a run.
type options struct {
	part    time.Duration
	items   int64
	profile string
	others  []other
}

// other is a server that is measured beside the embedded one.
type other struct{ name, url string }

func (o *options) addServer(s string) error {
	name, url, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("must be NAME=URL")
	}
	o.others = append(o.others, other{name, url})
	return nil
}

func (o *options) run(ctx context.Context) error {
	fmt.Println(stacktest.Measured())
	fmt.Printf("\n| %d clients: calls a second, processor time of a call | PutItem | GetItem | TransactWriteItems of three |\n|---|---|---|---|\n", clients)
	empty, err := o.embeddedEmpty(ctx)
	if err != nil {
		return err
	}
	row("embedded, 10000 items", empty, nil, true)
	full, opened, err := o.embeddedFull(ctx)
	if err != nil {
		return err
	}
	row(fmt.Sprintf("embedded, %d items", o.items), full, empty, true)
	for _, s := range o.others {
		all, err := o.beside(ctx, s.url)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		row(s.name, all, nil, false)
	}
	fmt.Println("| asked | ≥ 5000, with many items within 15 % | ≥ 12000, likewise | ≥ 2200, likewise |")
	memory, err := idleMemory(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\nOpen after kill -9 with %d items: %.1f s (asked: ≤ 3 s). Idle memory: %d MB (asked: ≤ 60 MB).\n",
		o.items, opened.Seconds(), memory>>20)
	return nil
}

// row prints what a server reached, and how that differs from what it reached
// before. The processor time is this process's: of another server only the
// client's is in it, and is left out.
func row(name string, all, before []figure, here bool) {
	fmt.Printf("| %s |", name)
	for i, f := range all {
		fmt.Printf(" %.0f", f.rate)
		if before != nil {
			fmt.Printf(" (%+.1f %%)", 100*(f.rate/before[i].rate-1))
		}
		if here {
			fmt.Printf(", %d µs", f.cpu.Microseconds())
		}
		fmt.Print(" |")
	}
	fmt.Println()
}
