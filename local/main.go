// Command local serves the whole of BLOOM Runtime on one machine: `go run ./local`. `go run ./local backup` and `restore` write
// its data folder into a file and make one from it.
//
// It reads template.yaml and puts in the cloud's place: an embedded DynamoDB, S3 and Secrets Manager over one data folder,
// API Gateway, the schedules and the table's stream. Each request crosses into its function as in the cloud.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
)

// The heap of live objects is small (20 MB under load) beside what requests leave behind, so the collector runs for a good part
// of the time at Go's defaults: a fifth of the CPU of a task's lifecycle. It may use more memory up to memoryLimit, past which it
// works harder. GOGC and GOMEMLIMIT in the environment win.
const (
	gcPercent   = 700
	memoryLimit = 170 << 20 // the stores take some 90 MB more
)

func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// tuneProcessors lets one goroutine more run at a time than there are processors: the one that waits for the disk in fdatasync
// keeps its place until the runtime notices, 20 µs later at the earliest, and a thousand times a second. GOMAXPROCS in the
// environment wins.
func tuneProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

func main() {
	tuneMemory()
	tuneProcessors()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run serves until ctx ends and returns the exit status: 0 after a clean stop, 1 after a failure, which it has said in one
// sentence, 2 for a command line that cannot be read. The first argument may be a command: backup or restore.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	if len(args) > 0 && subcommands[args[0]] != nil {
		return subcommands[args[0]](ctx, args[1:], lookup, stdout, stderr)
	}
	s, err := readSettings(ctx, args, lookup, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		say(stderr, err)
		return 2
	}
	if err := serve(ctx, s, stdout, stderr); err != nil {
		say(stderr, err)
		return 1
	}
	return 0
}

// say prints an error as one line.
func say(w io.Writer, err error) {
	_, _ = fmt.Fprintln(w, "bloom:", strings.ReplaceAll(err.Error(), "\n", "; ")) // there is nowhere else to say it
}
