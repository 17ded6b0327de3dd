// Package stacktest starts the real programs, as a user would, for tests and
// for the benchmark: it builds them, runs them on free ports over a data folder
// of their own, and speaks to them over HTTPS and signals only.
package stacktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// builds holds the programs built by this process, by their package path.
var builds struct {
	sync.Mutex
	dir  string
	done map[string]built
}

// built is the outcome of one build.
type built struct {
	path string
	err  error
}

// Build compiles a program of this module, named as `go build` names it
// ("./local"), once per process, and returns the path of the binary. Under the
// race detector the program is built with it too. Concurrent calls wait.
func Build(ctx context.Context, pkg string) (string, error) {
	builds.Lock()
	defer builds.Unlock()
	if b, ok := builds.done[pkg]; ok {
		return b.path, b.err
	}
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "bloom-build-")
		if err != nil {
			return "", err
		}
		builds.dir, builds.done = dir, map[string]built{}
	}
	path := filepath.Join(builds.dir, filepath.Base(pkg))
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	b := built{path, goTool(ctx, append(args, pkg), nil)}
	if ctx.Err() == nil { // a build that was cut off says nothing about the program
		builds.done[pkg] = b
	}
	return b.path, b.err
}

// BuildFunction compiles functions/<name> as it is deployed and returns the
// path of the binary, which is in dir.
func BuildFunction(ctx context.Context, dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	args := []string{"build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w", "-o", path, "./functions/" + name}
	return path, goTool(ctx, args, []string{"CGO_ENABLED=0", "GOOS=linux"})
}

// Root returns the folder of the module: the nearest one upwards from the
// working directory that has a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod in the working directory or above it")
		}
		dir = up
	}
}

// RemoveBuilds deletes what Build made. TestMain calls it through Main.
func RemoveBuilds() {
	builds.Lock()
	defer builds.Unlock()
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir) // a leftover in the temporary folder harms nobody
	}
	builds.dir, builds.done = "", nil
}

func goTool(ctx context.Context, args, env []string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
	return nil
}
