package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"
)

// serveProfiles answers Go's profiles under /debug/pprof/ on the loopback address that BLOOM_PPROF names, for make bench and
// whoever looks for where time goes. It is off unless that is set.
func serveProfiles(ctx context.Context, address string, undo *closers) error {
	if address == "" {
		return nil
	}
	if !loopback(ctx, address) {
		return fmt.Errorf("BLOOM_PPROF %s must be a loopback address: profiles are for nobody else", address)
	}
	ln, err := listen(ctx, "BLOOM_PPROF", address, undo)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close() // nobody waits for a profile at a stop
	}()
	go func() {
		if err := server.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("bloom: profiles:", err)
		}
	}()
	return nil
}
