package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// subcommandOf is the program with these arguments only.
func subcommandOf(ctx context.Context, args ...string) *exec.Cmd {
	cmd := command(ctx, nil)
	cmd.Args = append(cmd.Args[:1], args...)
	return cmd
}

func TestSubcommandsRefuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"backup", "-data", dir}, "-to must name the file"},
		{[]string{"restore", "-data", dir}, "-from must name the file"},
		{[]string{"backup", "-to", filepath.Join(dir, "b"), "-data", ""}, "-data must name a folder"},
		{[]string{"backup", "-to", filepath.Join(dir, "b"), "more"}, `"more" is not understood`},
		{[]string{"backup", "-to", filepath.Join(dir, "b"), "-data", dir}, "there is no data of this program"},
		{[]string{"restore", "-from", filepath.Join(dir, "b"), "-data", filepath.Join(dir, "d")}, "cannot be read: no such file"},
	} {
		t.Run(strings.Join(tt.args[:1], " ")+" "+tt.want, func(t *testing.T) {
			t.Parallel()
			fails(t, subcommandOf(t.Context(), tt.args...), tt.want)
		})
	}
}

// A stack with its key, CA and credentials comes back from a backup, which is made again once the stack is stopped.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := start(t, data, []string{"RUNTIME_API_KEY=the-key"})
	if status, body := p.call(http.MethodPost, p.url+"/api/runtime/llm-tasks", "the-key", task); status != http.StatusCreated {
		t.Fatalf("create: %d %s", status, body)
	}
	for _, state := range []string{"running", "stopped"} {
		file, restored := filepath.Join(dir, state+".backup"), filepath.Join(dir, state)
		if state == "stopped" {
			if code := p.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit status %d\n%s", code, &p.stderr)
			}
		}
		for _, args := range [][]string{{"backup", "-data", data, "-to", file}, {"restore", "-from", file, "-data", restored}} {
			if out, err := subcommandOf(t.Context(), args...).CombinedOutput(); err != nil || strings.Count(string(out), "\n") != 1 {
				t.Fatalf("%s: %v: %s", state, err, out)
			}
		}
		for _, name := range []string{"tls/ca.pem", "tls/ca-key.pem", "objects/credentials.json"} {
			a, err := os.ReadFile(filepath.Join(data, name))
			b, berr := os.ReadFile(filepath.Join(restored, name))
			if err != nil || berr != nil || !bytes.Equal(a, b) {
				t.Errorf("%s: %s differs: %v, %v", state, name, err, berr)
			}
		}
		again := start(t, restored, []string{"RUNTIME_API_KEY=the-key"})
		status, body := again.call(http.MethodGet, again.url+"/api/runtime/llm-tasks", "the-key", "")
		if status != http.StatusOK || strings.Count(string(body), `"agent_slug":"a"`) != 1 {
			t.Errorf("%s: %d %s", state, status, body)
		}
		if code := again.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit status %d\n%s", code, &again.stderr)
		}
	}
}

// stopped makes a data folder with so many files of 15 MB, which no compression shrinks, and no stack on it.
func stopped(t *testing.T, dir string, files int) string {
	t.Helper()
	data := filepath.Join(dir, "data")
	p := start(t, data, nil)
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit status %d\n%s", code, &p.stderr)
	}
	noise := make([]byte, 15<<20)
	_, _ = rand.Read(noise) // never fails
	for i := range files {
		if err := os.WriteFile(filepath.Join(data, "events", fmt.Sprintf("large-%d.json", i)), noise, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// An interrupt leaves nothing of a backup, and of a restore neither.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := stopped(t, t.TempDir(), 1)
	file := filepath.Join(dir, "backup")
	for _, tt := range []struct {
		args   []string
		begun  string
		result string
	}{
		{[]string{"backup", "-data", data, "-to", file}, file + ".partial", file},
		{[]string{"restore", "-from", file, "-data", filepath.Join(dir, "restored")}, filepath.Join(dir, ".restored.restoring"), filepath.Join(dir, "restored")},
	} {
		interrupted := 0
		for range 8 {
			cmd := subcommandOf(context.Background(), tt.args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if _, err := os.Stat(tt.begun); err == nil {
					break
				}
				if _, err := os.Stat(tt.result); err == nil {
					break // too late
				}
			}
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended
			if err := cmd.Wait(); err == nil {
				_ = os.RemoveAll(tt.result)
				continue
			}
			if interrupted++; !strings.Contains(stderr.String(), "broken off") && stderr.Len() > 0 {
				t.Errorf("it said %q", &stderr)
			}
			for _, path := range []string{tt.begun, tt.result} {
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is there: %v", path, err)
				}
			}
		}
		if interrupted == 0 {
			t.Errorf("%v was never interrupted", tt.args[0])
		}
		if out, err := subcommandOf(t.Context(), tt.args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
