package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/worker/internal/client"
)

// defaultTTL of a lease, seconds. It is how long a task of a worker that died
// waits for another, and how long a worker may be cut off from the server
// before its work is void. The API's own default of 300 suits clients that
// renew by hand; a worker renews every third of it, so 60 costs one small
// request in 20 s and lets a dead worker's task move on within a minute, half
// of the default time limit of a task.
const defaultTTL = 60

// defaultCA is where `go run ./local` puts the certificate of its CA.
const defaultCA = ".bloom/tls/ca.pem"

// defaultCommand is the Claude CLI; its prompt comes on standard input.
var defaultCommand = []string{"claude", "-p", "--output-format", "json"}

// config is everything that can be set: flags, then environment, then defaults.
type config struct {
	URL         *url.URL     // of the runtime; https, or http on loopback
	Key         string       // X-Runtime-API-Key, "" = none; never logged
	Trust       client.Trust // certificates of the server
	Name        string       // the worker's id, 1–128 characters
	Concurrency int          // tasks at a time, 1–32
	TTL         int          // of a lease, seconds, 1–3600
	Labels      []string     // what the worker offers beyond the CLI
	Command     []string     // program and arguments
}

const usage = `usage: worker [flags] [-- command [argument …]]

Takes tasks from a BLOOM runtime, runs the command on each (the prompt comes on
its standard input) and reports what it prints. The default command is
  claude -p --output-format json

`

// raw holds the settings as they were written.
type raw struct{ url, key, ca, name, concurrency, ttl, labels string }

func (r *raw) flags(env func(string) string, host string) *flag.FlagSet {
	fs := flag.NewFlagSet("worker", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	or := func(name, fallback string) string {
		if v := env(name); v != "" {
			return v
		}
		return fallback
	}
	fs.StringVar(&r.url, "url", or("BLOOM_URL", "https://127.0.0.1:8443"), "address of the runtime (BLOOM_URL)")
	fs.StringVar(&r.key, "key", "", "API key (better in RUNTIME_API_KEY: other users of the machine can read flags)")
	fs.StringVar(&r.ca, "ca", env("BLOOM_CA"), "file of the only certificates to trust (BLOOM_CA); default: the system's, and "+defaultCA+" if it is there")
	fs.StringVar(&r.name, "name", or("BLOOM_WORKER", host), "name of this worker (BLOOM_WORKER)")
	fs.StringVar(&r.concurrency, "concurrency", or("BLOOM_CONCURRENCY", "1"), "tasks at a time, 1 to 32 (BLOOM_CONCURRENCY)")
	fs.StringVar(&r.ttl, "ttl", or("BLOOM_TTL", strconv.Itoa(defaultTTL)), "seconds that a lease lasts without a heartbeat, 1 to 3600 (BLOOM_TTL)")
	fs.StringVar(&r.labels, "labels", env("BLOOM_LABELS"), "labels, separated by commas (BLOOM_LABELS)")
	return fs
}

// parseConfig reads the settings. The error is flag.ErrHelp after -h, else one
// sentence for the user.
func parseConfig(args []string, env func(string) string, help io.Writer) (config, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "" // then -name is required
	}
	var r raw
	fs := r.flags(env, host)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(help)
			_, _ = io.WriteString(help, usage)
			fs.PrintDefaults()
		}
		return config{}, err
	}
	c := config{Key: r.key, Name: r.name, Labels: splitLabels(r.labels), Trust: client.Trust{File: r.ca}}
	if c.Key == "" {
		c.Key = env("RUNTIME_API_KEY")
	}
	if r.ca == "" {
		c.Trust = client.Trust{File: defaultCA, Added: true}
	}
	if c.Command, err = command(args, fs.Args()); err != nil {
		return config{}, err
	}
	if c.URL, err = parseURL(r.url); err != nil {
		return config{}, err
	}
	if c.Concurrency, err = parseNumber("-concurrency", r.concurrency, 32); err != nil {
		return config{}, err
	}
	if c.TTL, err = parseNumber("-ttl", r.ttl, 3600); err != nil {
		return config{}, err
	}
	return c, c.validate()
}

// command is what stands after "--". A word that is not a flag and comes
// without "--" is more likely a mistake than a command.
func command(args, rest []string) ([]string, error) {
	if len(rest) == 0 {
		return defaultCommand, nil
	}
	if before := len(args) - len(rest) - 1; before < 0 || args[before] != "--" {
		return nil, fmt.Errorf("unexpected argument %q: put -- before the command", rest[0])
	}
	if rest[0] == "" {
		return nil, errors.New("the command after -- is empty")
	}
	return rest, nil
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("-url must be an address such as https://runtime.example.com, without user, query or fragment")
	}
	switch {
	case u.Scheme == "https":
		return u, nil
	case u.Scheme != "http":
		return nil, fmt.Errorf("-url begins with %q; it must begin with https", u.Scheme)
	}
	// SAM local speaks plain HTTP, and the key does not leave the machine.
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback()) {
		return u, nil
	}
	return nil, errors.New("-url is plain http to another machine, which would show the key; use https")
}

func parseNumber(name, s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s is %q; it must be a whole number from 1 to %d", name, s, most)
	}
	return n, nil
}

func splitLabels(s string) []string {
	labels := []string{}
	for l := range strings.SplitSeq(s, ",") {
		if l = strings.TrimSpace(l); l != "" {
			labels = append(labels, l)
		}
	}
	return labels
}

func (c config) validate() error {
	switch n := utf8.RuneCountInString(c.Name); {
	case n == 0:
		return errors.New("-name is empty and this machine has no host name; give the worker a name")
	case n > 128:
		return fmt.Errorf("-name has %d characters; at most 128 are allowed", n)
	case !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unicode.IsControl) || strings.Contains(c.Name, "/"):
		return errors.New("-name must be UTF-8 without control characters and without /")
	case c.Name == "." || c.Name == "..":
		return fmt.Errorf("-name %q has a meaning in a path; choose another", c.Name)
	}
	for _, l := range c.Labels {
		if !utf8.ValidString(l) || strings.ContainsFunc(l, unicode.IsControl) {
			return fmt.Errorf("label %q must be UTF-8 without control characters", l)
		}
	}
	// A header that can't be sent would fail each call; the value is not shown.
	if strings.ContainsFunc(c.Key, func(r rune) bool { return r < '!' || r > '~' }) {
		return errors.New("the API key has characters other than printable ASCII; it can't be sent in a header")
	}
	_, err := c.Trust.Roots()
	return err
}
