//go:build unix

// Standin behaves on the surface like `claude -p --output-format json`: it reads
// a prompt on standard input and prints one JSON object. It calls no model.
// Tests tell it what to do by lines of the prompt, carried out in order:
//
//	sleep 2s           wait
//	wait FILE          wait until FILE exists
//	pid FILE           append the process id to FILE
//	spawn-child FILE   start a child that ignores SIGTERM, keeps the pipes open
//	                   and stays for a minute; its process id goes to FILE
//	ignore-term        ignore SIGTERM from here on
//	stderr TEXT        write TEXT to standard error
//	answer TEXT        answer TEXT in place of the echo of the prompt
//	bytes N            answer N times the letter x
//	env NAME           answer the value of a variable, or "unset"
//	pwd                answer the working directory
//	tokens N           report N output tokens
//	fail               report the error of a request that the model's API refuses (400)
//	api-error N        report the error of an API call that ended with status N
//	raw TEXT           print TEXT in place of the JSON object
//	raw-bytes N        print N bytes in place of the JSON object
//	flood              print without end
//	invalid-utf8       print bytes that are not UTF-8 in place of the JSON object
//	exit N             end at once with status N and without a result
//	crash              end at once by SIGKILL
//
// Any other line means nothing. Without "answer", "bytes", "env" and "pwd" the
// answer is "echo: " and the prompt.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const childArg = "-stay-as-child"

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Minute)
		return
	}
	prompt, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	a := &answer{text: "echo: " + string(prompt)}
	for line := range strings.Lines(string(prompt)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		do, ok := directives[word]
		if !ok {
			continue
		}
		if err := do(a, rest); err != nil {
			fail(fmt.Errorf("%s: %w", word, err))
		}
	}
	if err := a.print(os.Stdout); err != nil {
		fail(err)
	}
	if a.status != 0 {
		os.Exit(1) // as the CLI does when it reports an error
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "standin:", err)
	os.Exit(1)
}

// answer is what will be printed at the end.
type answer struct {
	text   string
	raw    []byte // printed in place of the object when not nil
	tokens int
	status int // of the model's API; 0 = no error
}

var directives = map[string]func(a *answer, rest string) error{
	"sleep": func(_ *answer, rest string) error {
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return err
	},
	"wait":        func(_ *answer, rest string) error { return waitFor(rest) },
	"pid":         func(_ *answer, rest string) error { return appendLine(rest, os.Getpid()) },
	"spawn-child": func(_ *answer, rest string) error { return spawn(rest) },
	"ignore-term": func(*answer, string) error { signal.Ignore(syscall.SIGTERM); return nil },
	"stderr":      func(_ *answer, rest string) error { _, err := fmt.Fprintln(os.Stderr, rest); return err },
	"answer":      func(a *answer, rest string) error { a.text = rest; return nil },
	"bytes": func(a *answer, rest string) error {
		b, err := letters(rest)
		a.text = string(b)
		return err
	},
	"env": func(a *answer, rest string) error {
		a.text = "unset"
		if v, ok := os.LookupEnv(rest); ok {
			a.text = v
		}
		return nil
	},
	"pwd": func(a *answer, _ string) (err error) { a.text, err = os.Getwd(); return err },
	"tokens": func(a *answer, rest string) (err error) {
		a.tokens, err = strconv.Atoi(rest)
		return err
	},
	"fail": func(a *answer, _ string) error {
		a.status, a.text = 400, "API Error: 400 the stand-in was asked to fail"
		return nil
	},
	"api-error": func(a *answer, rest string) (err error) {
		a.text = "API Error: " + rest
		a.status, err = strconv.Atoi(rest)
		return err
	},
	"raw": func(a *answer, rest string) error { a.raw = []byte(rest); return nil },
	"raw-bytes": func(a *answer, rest string) (err error) {
		a.raw, err = letters(rest)
		return err
	},
	"invalid-utf8": func(a *answer, _ string) error { a.raw = []byte("a\xff\xfeb\x00c\xe2\x82"); return nil },
	"flood": func(*answer, string) error {
		for {
			if _, err := fmt.Println(strings.Repeat("x", 1023)); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	},
	"exit": func(_ *answer, rest string) error {
		n, err := strconv.Atoi(rest)
		if err == nil {
			os.Exit(n)
		}
		return err
	},
	"crash": func(*answer, string) error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) },
}

func letters(n string) ([]byte, error) {
	count, err := strconv.ParseUint(n, 10, 28)
	if err != nil {
		return nil, err
	}
	return []byte(strings.Repeat("x", int(count))), nil
}

func waitFor(file string) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s did not appear", file)
}

func appendLine(file string, pid int) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, pid); err != nil {
		return err
	}
	return f.Close()
}

func spawn(file string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(context.Background(), self, childArg)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	return appendLine(file, c.Process.Pid)
}

// print writes the object with the fields that version 2.1 of the CLI prints.
func (a *answer) print(to io.Writer) error {
	w := bufio.NewWriter(to)
	if a.raw != nil {
		if _, err := w.Write(a.raw); err != nil {
			return err
		}
		return w.Flush()
	}
	o := map[string]any{
		"type": "result", "subtype": "success", "is_error": a.status != 0, "api_error_status": nil,
		"duration_ms": 1, "duration_api_ms": 1, "num_turns": 1, "result": a.text,
		"stop_reason": "end_turn", "session_id": "00000000-0000-4000-8000-000000000000", "total_cost_usd": 0,
		"usage": map[string]any{
			"input_tokens": 10, "output_tokens": 5 + a.tokens,
			"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
		},
		"permission_denials": []string{}, "terminal_reason": "completed",
	}
	if a.status != 0 {
		o["api_error_status"] = a.status
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		return err
	}
	return w.Flush()
}
