package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/worker/internal/client"
)

func environment(kv ...string) func(string) string {
	return func(name string) string {
		for _, e := range kv {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c, err := parseConfig(nil, environment(), nil)
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if c.URL.String() != "https://127.0.0.1:8443" || c.Key != "" || c.Name != host || c.Concurrency != 1 || c.TTL != 60 || len(c.Labels) != 0 ||
		!slices.Equal(c.Command, []string{"claude", "-p", "--output-format", "json"}) || c.Trust != (client.Trust{File: ".bloom/tls/ca.pem", Added: true}) {
		t.Errorf("%+v", c)
	}
}

func TestConfigOrder(t *testing.T) {
	t.Parallel()
	env := environment("BLOOM_URL=https://env/live", "RUNTIME_API_KEY=env-key", "BLOOM_WORKER=env-name", "BLOOM_CONCURRENCY=3", "BLOOM_TTL=30", "BLOOM_LABELS=a, b,,")
	c, err := parseConfig(nil, env, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.URL.String() != "https://env/live" || c.Key != "env-key" || c.Name != "env-name" || c.Concurrency != 3 || c.TTL != 30 || !slices.Equal(c.Labels, []string{"a", "b"}) {
		t.Errorf("environment: %+v", c)
	}
	c, err = parseConfig([]string{"-url", "http://localhost:3000", "-key=flag-key", "-name", "имя 1", "-concurrency", "32", "-ttl", "1", "-labels", "c", "--", "sh", "-c", "cat"}, env, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.URL.String() != "http://localhost:3000" || c.Key != "flag-key" || c.Name != "имя 1" || c.Concurrency != 32 || c.TTL != 1 ||
		!slices.Equal(c.Labels, []string{"c"}) || !slices.Equal(c.Command, []string{"sh", "-c", "cat"}) {
		t.Errorf("flags: %+v", c)
	}
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		say  string
	}{
		{[]string{"-url", "runtime.example.com"}, "-url must be an address"},
		{[]string{"-url", "https://"}, "-url must be an address"},
		{[]string{"-url", "https://u:p@host"}, "-url must be an address"},
		{[]string{"-url", "https://host/?a=b"}, "-url must be an address"},
		{[]string{"-url", "://"}, "-url must be an address"},
		{[]string{"-url", "ftp://host"}, `-url begins with "ftp"`},
		{[]string{"-url", "http://host"}, "plain http to another machine"},
		{[]string{"-concurrency", "0"}, `-concurrency is "0"; it must be a whole number from 1 to 32`},
		{[]string{"-concurrency", "33"}, "from 1 to 32"},
		{[]string{"-concurrency", "many"}, "from 1 to 32"},
		{[]string{"-ttl", "3601"}, "from 1 to 3600"},
		{[]string{"-ttl", "1.5"}, "from 1 to 3600"},
		{[]string{"-name", strings.Repeat("я", 129)}, "129 characters"},
		{[]string{"-name", "a/b"}, "without /"},
		{[]string{"-name", "a\nb"}, "without control characters"},
		{[]string{"-name", "\xff"}, "must be UTF-8"},
		{[]string{"-name", ".."}, "meaning in a path"},
		{[]string{"-name", ""}, "-name is empty"},
		{[]string{"-labels", "a,b\tc"}, "label"},
		{[]string{"-key", "ключ"}, "printable ASCII"},
		{[]string{"-ca", "/no/such/file"}, "no such file"},
		{[]string{"-ca", noPEM}, "holds no certificate"},
		{[]string{"-what"}, "flag provided but not defined"},
		{[]string{"claude"}, "put -- before the command"},
		{[]string{"-ttl", "5", "claude", "-p"}, "put -- before the command"},
		{[]string{"--", ""}, "is empty"},
	}
	for _, tt := range tests {
		_, err := parseConfig(tt.args, environment(), nil)
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%q: %v", tt.args, err)
		}
		if err != nil && (strings.Contains(err.Error(), "ключ") || strings.Contains(err.Error(), "u:p")) {
			t.Errorf("%q: the sentence shows a secret: %v", tt.args, err)
		}
	}
}

func TestConfigHelp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if _, err := parseConfig([]string{"-h"}, environment("RUNTIME_API_KEY=secret"), &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "usage: worker") || !strings.Contains(out.String(), "-concurrency") || strings.Contains(out.String(), "secret") {
		t.Errorf("%s", out.String())
	}
}

func TestChildEnv(t *testing.T) {
	t.Parallel()
	got := childEnv([]string{"A=1", "RUNTIME_API_KEY=secret", "TMPDIR=/tmp", "RUNTIME_API_KEY_FILE=x"}, "/own")
	if !slices.Equal(got, []string{"A=1", "RUNTIME_API_KEY_FILE=x", "TMPDIR=/own"}) {
		t.Errorf("%v", got)
	}
}
