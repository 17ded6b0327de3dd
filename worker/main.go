// Worker takes tasks from a BLOOM runtime, runs a command-line LLM on each, and
// reports what it printed.
//
//	go run ./worker [flags] [-- command [argument …]]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/bloom-runtime/bloom/worker/internal/client"
	"github.com/bloom-runtime/bloom/worker/internal/process"
)

func main() { os.Exit(mainCode()) }

// mainCode returns 0 after a signal or -h, 2 for wrong settings, 1 when the
// server refuses this worker.
func mainCode() int {
	cfg, err := parseConfig(os.Args[1:], os.Getenv, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var transport *http.Transport
	if err == nil {
		transport, err = client.NewTransport(cfg.Trust)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "worker: %v\n", err)
		return 2
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("worker_id", cfg.Name)
	runner := &process.Runner{}
	stop := stopOnSignal(log, runner)
	if _, err := exec.LookPath(cfg.Command[0]); err != nil {
		log.Error("THE COMMAND IS NOT THERE; every task given to this worker fails until it is installed",
			"command", cfg.Command[0], "error", err.Error())
	}
	w := newWorker(cfg, client.New(cfg.URL, cfg.Key, transport), log, runner)
	if err := w.run(stop); err != nil {
		log.Error("the worker ends", "error", err.Error())
		return 1
	}
	return 0
}

// stopOnSignal returns a context that the first SIGTERM or SIGINT ends. The
// second one kills what runs and ends the program at once.
func stopOnSignal(log *slog.Logger, runner *process.Runner) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		log.Info("stopping; a second signal ends the worker at once", "signal", (<-signals).String())
		cancel()
		<-signals
		runner.KillAll()
		log.Error("ended by a second signal; leases are left to run out")
		os.Exit(1)
	}()
	return ctx
}
