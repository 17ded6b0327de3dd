package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// starts is how often each function is started; the median counts.
const starts = 5

// function is a deployed binary: its size in bytes and the time from its start
// to its first poll for an event.
type function struct {
	name  string
	size  int64
	ready time.Duration
}

// measureFunctions builds every function as it is deployed and starts it under a
// Runtime API of this process.
func measureFunctions(ctx context.Context) ([]function, error) {
	root, err := stacktest.Root()
	if err != nil {
		return nil, err
	}
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bloom-functions-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder harms nobody
	var all []function
	for _, main := range mains {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := measureFunction(ctx, dir, filepath.Base(filepath.Dir(main)))
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func measureFunction(ctx context.Context, dir, name string) (function, error) {
	path, err := stacktest.BuildFunction(ctx, dir, name)
	if err != nil {
		return function{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return function{}, err
	}
	var ready []time.Duration
	for range starts {
		f, err := stacktest.StartFunction(ctx, path, stacktest.FunctionEnv("http://127.0.0.1:1", "bloom"))
		if err != nil {
			return function{}, fmt.Errorf("%s: %w", name, err)
		}
		ready = append(ready, f.Ready)
		f.Close()
	}
	slices.Sort(ready)
	return function{name, info.Size(), ready[starts/2]}, nil
}

func printFunctions(all []function) {
	fmt.Printf("\n| function | binary | ready for its first event |\n|---|---|---|\n")
	var largest int64
	var slowest time.Duration
	for _, f := range all {
		fmt.Printf("| %s | %.1f MB | %s |\n", f.name, float64(f.size)/1e6, ms(f.ready))
		largest, slowest = max(largest, f.size), max(slowest, f.ready)
	}
	fmt.Printf("| largest, slowest | %.1f MB | %s |\n| asked | ≤ 15 MB | ≤ 25 ms |\n", float64(largest)/1e6, ms(slowest))
}
