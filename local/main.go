// Command local serves the whole of BLOOM Runtime on one machine: `go run ./local`.
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
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run serves until ctx ends and returns the exit status: 0 after a clean stop, 1 after a failure, which it has said in one
// sentence, 2 for a command line that cannot be read.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	s, err := readSettings(args, lookup, stderr)
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
