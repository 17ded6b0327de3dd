package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// saveProfile fetches a CPU profile of the stack while the first part runs. A
// profile that fails is reported and costs the run nothing else.
func saveProfile(ctx context.Context, address, path string, part time.Duration) {
	seconds := int((warmUp + part).Seconds()) - 1
	ctx, cancel := context.WithTimeout(ctx, warmUp+part+10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, seconds), nil)
	if err != nil {
		log.Printf("profile: %v", err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Printf("profile: %v", err)
		return
	}
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end or failed
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err == nil {
		err = os.WriteFile(path, raw, 0o644)
	}
	if err != nil {
		log.Printf("profile: %v", err)
	}
}
