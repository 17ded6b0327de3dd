// Messagesapi serves a small stand-in of Anthropic's Messages API, for running
// the real Claude CLI without the real service. It prints its address, one line
// to put into ANTHROPIC_BASE_URL, and stops on SIGTERM or SIGINT. What a prompt
// can ask of it is told in package messages.
//
//	go run ./worker/messagesapi -addr 127.0.0.1:0
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/messages"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	status := flag.Int("status", 0, "fail each call with this status, such as 401, 429 or 529; 0 = do not")
	key := flag.String("key", "", "the only x-api-key that is taken; empty = any")
	flag.Parse()
	if err := serve(*addr, &messages.API{Status: *status, Key: *key}); err != nil {
		fmt.Fprintln(os.Stderr, "messagesapi:", err)
		os.Exit(1)
	}
}

func serve(addr string, api *messages.API) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	fmt.Printf("http://%s\n", ln.Addr())
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
