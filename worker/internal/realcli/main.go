//go:build unix

// Realcli runs the pipeline with the real Claude CLI: it starts the worker
// program with it against a stand-in of the Messages API, submits tasks through
// the runtime's API, and checks what becomes of them. It is for CI; make test
// does the same with a stand-in for the CLI.
//
//	go run ./worker/internal/realcli -claude PATH
//	go run ./worker/internal/realcli -claude PATH -url https://127.0.0.1:8443 -ca .bloom/tls/ca.pem
//
// Without -url it starts a runtime of its own. A CLI that is missing is a
// failure. The CLI comes from npm: npm install --prefix DIR @anthropic-ai/claude-code
// makes DIR/node_modules/.bin/claude.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
	"github.com/bloom-runtime/bloom/worker/internal/client"
)

func main() {
	cli := flag.String("claude", os.Getenv("CLAUDE_CLI"), "path of the Claude CLI (CLAUDE_CLI)")
	url := flag.String("url", "", "address of a running runtime without other workers; empty = start one")
	ca := flag.String("ca", "", "certificate of that runtime")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	defer stacktest.RemoveBuilds()
	if err := check(ctx, *cli, *url, *ca); err != nil {
		fmt.Fprintln(os.Stderr, "realcli:", err)
		cancel()
		stacktest.RemoveBuilds()
		os.Exit(1)
	}
	fmt.Println("realcli: all is well")
}

func check(ctx context.Context, cli, url, ca string) error {
	if cli == "" {
		return errors.New("no Claude CLI: give its path with -claude or CLAUDE_CLI")
	}
	version, err := exec.CommandContext(ctx, cli, "--version").Output()
	if err != nil {
		return fmt.Errorf("the Claude CLI does not run: %w", err)
	}
	fmt.Printf("realcli: Claude CLI %s\n", strings.TrimSpace(string(version)))
	api, ca, stop, err := runtime(ctx, url, ca)
	if err != nil {
		return err
	}
	defer stop()
	program, err := stacktest.Build(ctx, "./worker")
	if err != nil {
		return err
	}
	r, err := newRun(ctx, api, ca, program, cli)
	if err != nil {
		return err
	}
	defer r.close()
	return r.all(ctx)
}

// runtime gives a client of the runtime at url, or of one that it starts.
func runtime(ctx context.Context, url, ca string) (api *stacktest.Client, caFile string, stop func(), err error) {
	if url == "" {
		s, err := stacktest.Launch(ctx, stacktest.Options{APIKey: "realcli-key"})
		if err != nil {
			return nil, "", nil, err
		}
		return s.Client(), s.CAFile(), s.Close, nil
	}
	transport, err := client.NewTransport(client.Trust{File: ca})
	if err != nil {
		return nil, "", nil, err
	}
	c := &stacktest.Client{
		Base: strings.TrimSuffix(url, "/"), Key: os.Getenv("RUNTIME_API_KEY"),
		HTTP: &http.Client{Transport: transport, Timeout: time.Minute},
	}
	return c, ca, transport.CloseIdleConnections, nil
}
