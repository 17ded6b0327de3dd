package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	embedded "github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/stacktest"
)

// open opens the embedded server on a directory, in this process.
func open(dir string) (*embedded.Server, *dynamodb.Client, error) {
	s, err := embedded.Open(dir, embedded.Options{OnFatal: func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}})
	if err != nil {
		return nil, nil, err
	}
	return s, dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://in.process"),
		Credentials: aws.AnonymousCredentials{}, HTTPClient: s.HTTPClient()}), nil
}

// inDir gives f a directory that is there as long as it runs.
func inDir(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "bloom-dynamodb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder harms nobody
	return f(dir)
}

// embeddedEmpty measures the embedded server with few items.
func (o *options) embeddedEmpty(ctx context.Context) (all []figure, err error) {
	err = inDir(func(dir string) error {
		s, db, err := open(dir)
		if err != nil {
			return err
		}
		w := newWorkload(db, fewItems)
		if err = errors.Join(createTable(ctx, db), w.fill(ctx, 0, fewItems)); err == nil && o.profile != "" {
			err = o.profilePut(ctx, w)
		}
		if err == nil {
			all, err = w.measure(ctx, o.part)
		}
		return errors.Join(err, s.Close())
	})
	return all, err
}

func (o *options) profilePut(ctx context.Context, w *workload) error {
	f, err := os.Create(o.profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	_, err = measure(ctx, o.part, w.put)
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

// embeddedFull fills a table in another process, kills that, and measures how
// long opening takes and what the calls reach then.
func (o *options) embeddedFull(ctx context.Context) (all []figure, opened time.Duration, err error) {
	err = inDir(func(dir string) error {
		if err := child(ctx, func(*os.Process) error { return nil }, "-fill", dir, "-items", fmt.Sprint(o.items)); err != nil {
			return err
		}
		began := time.Now()
		s, db, err := open(dir)
		if err != nil {
			return err
		}
		opened = time.Since(began)
		all, err = newWorkload(db, o.items).measure(ctx, o.part)
		return errors.Join(err, s.Close())
	})
	return all, opened, err
}

// beside measures another server with few items.
func (o *options) beside(ctx context.Context, url string) ([]figure, error) {
	db := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})
	w := newWorkload(db, fewItems)
	if err := errors.Join(createTable(ctx, db), w.fill(ctx, 0, fewItems)); err != nil {
		return nil, err
	}
	return w.measure(ctx, o.part)
}

const ready = "ready"

// fillAndWait fills a table, says so and waits to be killed.
func fillAndWait(ctx context.Context, dir string, items int64) error {
	_, db, err := open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(createTable(ctx, db), newWorkload(db, items).fill(ctx, 0, items)); err != nil {
		return err
	}
	return sayAndWait(ctx)
}

// openAndWait opens an empty table, says so and waits to be killed.
func openAndWait(ctx context.Context, dir string) error {
	_, db, err := open(dir)
	if err != nil {
		return err
	}
	if err := createTable(ctx, db); err != nil {
		return err
	}
	return sayAndWait(ctx)
}

func sayAndWait(ctx context.Context) error {
	fmt.Println(ready)
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
	return ctx.Err()
}

// child runs this program with arguments, calls f once it is ready, and kills it.
func child(ctx context.Context, f func(*os.Process) error, args ...string) error {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil && strings.TrimSpace(line) == ready {
		err = f(cmd.Process)
	} else {
		err = fmt.Errorf("%v ended early: %w", args, err)
	}
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()         // it was killed
	_ = in.Close()         // kept open until here: the child waits for its end
	return err
}

// idleMemory is what a process takes that has the server open and does nothing, in bytes.
func idleMemory(ctx context.Context) (bytes int64, err error) {
	err = inDir(func(dir string) error {
		return child(ctx, func(p *os.Process) error {
			bytes, err = stacktest.PeakMemory(p.Pid)
			return err
		}, "-idle", dir)
	})
	return bytes, err
}
