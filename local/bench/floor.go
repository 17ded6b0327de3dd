package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// Sizes of the floor's request and answer, in bytes.
const (
	floorBody   = 400
	floorAnswer = 600
)

// floor measures a TLS server that reads a JSON body and answers a fixed one, in
// this process, with the client and the numbers of clients of the real thing.
func (b *bench) floor(ctx context.Context) error {
	answer := jsonOf(floorAnswer)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			var body map[string]string
			err = json.Unmarshal(raw, &body)
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer) // the client counts what it reads
	}))
	defer srv.Close()
	client := srv.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 256
	c := &stacktest.Client{Base: srv.URL, HTTP: client}
	body := jsonOf(floorBody)
	for _, n := range concurrency {
		f, err := measure(ctx, n, b.part/2, func(ctx context.Context, _ int) error {
			resp, err := c.Do(ctx, "POST", "/", body)
			if err == nil && (resp.Status != http.StatusOK || len(resp.Body) != floorAnswer) {
				err = fmt.Errorf("unexpected answer %s", resp)
			}
			return err
		})
		if err != nil {
			return err
		}
		b.floors[n] = append(b.floors[n], f.rate)
	}
	return nil
}

// jsonOf returns a JSON object of n bytes.
func jsonOf(n int) string {
	const open, closing = `{"text":"`, `"}`
	return open + strings.Repeat("x", n-len(open)-len(closing)) + closing
}
