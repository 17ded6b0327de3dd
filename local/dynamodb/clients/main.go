// Clients serves an empty embedded DynamoDB on a free port of this machine,
// runs a command against it, and ends as the command does:
//
//	go run ./local/dynamodb/clients python local/dynamodb/clients/clients.py
//
// The command finds the address in AWS_ENDPOINT_URL_DYNAMODB, as the aws CLI and
// AWS's SDKs expect it, and in DYNAMODB_ENDPOINT. Without a command it serves
// until it is interrupted. It is for tests: the data goes when it ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, command []string) (err error) {
	dir, err := os.MkdirTemp("", "dynamodb-clients-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	db, err := dynamodb.Open(dir, dynamodb.Options{OnFatal: fail})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: db, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	go func() {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fail(err)
		}
	}()
	defer func() { err = errors.Join(err, web.Close()) }()
	url := "http://" + listener.Addr().String()
	if len(command) == 0 {
		fmt.Println(url)
		<-ctx.Done()
		return nil
	}
	return run(ctx, url, command)
}

// run runs the command until it ends or ctx does.
func run(ctx context.Context, url string, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "DYNAMODB_ENDPOINT="+url, "AWS_ENDPOINT_URL_DYNAMODB="+url, "AWS_ENDPOINT_URL_DYNAMODB_STREAMS="+url,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", command[0], err)
	}
	return nil
}
