package secrets

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/secret"
)

func open(t *testing.T, path string) *Server {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The real SDK in process and over HTTP.
func clients(t *testing.T, s *Server) map[string]*sm.Client {
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return map[string]*sm.Client{
		"in process": sm.NewFromConfig(s.Config()),
		"over HTTP":  sm.NewFromConfig(awsconf.Build("us-east-1", srv.URL, "a", "b", "", nil)),
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, open(t, filepath.Join(t.TempDir(), "secrets.json"))) {
		ctx, id := t.Context(), aws.String(strings.ReplaceAll(name, " ", "-"))
		made, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: id, Description: aws.String("d")})
		if err != nil {
			t.Fatal(err)
		}
		var notFound *types.ResourceNotFoundException
		if _, err := c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: id}); !errors.As(err, &notFound) {
			t.Errorf("%s: no value yet: got %v", name, err)
		}
		put, err := c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: id, SecretString: aws.String("пароль \x00\"")})
		if err != nil {
			t.Fatal(err)
		}
		for _, by := range []*string{id, made.ARN} {
			got, err := c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: by})
			if err != nil || *got.SecretString != "пароль \x00\"" || *got.VersionId != *put.VersionId || got.VersionStages[0] != "AWSCURRENT" {
				t.Errorf("%s by %s: %+v, %v", name, *by, got, err)
			}
		}
		desc, err := c.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: id})
		if err != nil || *desc.Description != "d" || desc.CreatedDate == nil || len(desc.VersionIdsToStages) != 1 {
			t.Errorf("%s: describe: %+v, %v", name, desc, err)
		}
		var exists *types.ResourceExistsException
		if _, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: id}); !errors.As(err, &exists) {
			t.Errorf("%s: created twice: got %v", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := clients(t, open(t, filepath.Join(t.TempDir(), "secrets.json")))["in process"]
	ctx := t.Context()
	if _, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("v")}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		call func() error
		want string
	}{
		{"unknown secret", func() error {
			_, err := c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String("nope"), SecretString: aws.String("v")})
			return err
		}, "ResourceNotFoundException"},
		{"binary", func() error {
			_, err := c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String("s"), SecretBinary: []byte("v")})
			return err
		}, "InvalidParameterException"},
		{"no value", func() error {
			_, err := c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String("s")})
			return err
		}, "InvalidParameterException"},
		{"too long", func() error {
			_, err := c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String("s"), SecretString: aws.String(strings.Repeat("x", 65537))})
			return err
		}, "InvalidParameterException"},
		{"bad name", func() error {
			_, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("a b")})
			return err
		}, "InvalidParameterException"},
		{"an earlier version", func() error {
			_, err := c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("s"), VersionStage: aws.String("AWSPREVIOUS")})
			return err
		}, "ResourceNotFoundException"},
		{"unknown operation", func() error {
			_, err := c.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String("s")})
			return err
		}, "UnknownOperationException"},
	} {
		var api smithy.APIError
		if err := tt.call(); !errors.As(err, &api) || api.ErrorCode() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestNotTheProtocol(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "secrets.json"))
	for _, tt := range []struct{ method, target, body, want string }{
		{"GET", "secretsmanager.GetSecretValue", "", "UnknownOperationException"},
		{"POST", "DynamoDB_20120810.GetItem", "{}", "UnknownOperationException"},
		{"POST", "secretsmanager.GetSecretValue", "{", "SerializationException"},
		{"POST", "secretsmanager.GetSecretValue", `{"SecretId": 5}`, "SerializationException"},
		{"POST", "secretsmanager.GetSecretValue", `"` + strings.Repeat("x", maxBody) + `"`, "SerializationException"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, "/", strings.NewReader(tt.body))
		r.Header.Set("X-Amz-Target", tt.target)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%+.60v: got %d %s", tt, w.Code, w.Body)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	s := open(t, path)
	for _, v := range []string{"first", "second"} {
		if err := s.Ensure(t.Context(), "key", v); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Ensure(t.Context(), "empty", ""); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	store := secret.Open(open(t, path).Config())
	if got, err := store.Get(t.Context(), "key"); err != nil || got != "first" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := store.Get(t.Context(), "empty"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("no value: got %v", err)
	}
	if err := store.Put(t.Context(), "nope", "v"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("no secret: got %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"key":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path+" is damaged") {
		t.Errorf("damaged: got %v", err)
	}
}

// A value that cannot be written is not answered, and not shown either.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "secrets.json"))
	if err := s.Ensure(t.Context(), "key", "old"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	store := secret.Open(s.Config())
	if err := store.Put(t.Context(), "key", "new"); err == nil {
		t.Error("a value that was not stored was acknowledged")
	}
	if got, err := store.Get(t.Context(), "key"); err != nil || got != "old" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	s := open(t, path)
	store := secret.Open(s.Config())
	if err := s.Ensure(t.Context(), "key", "0"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if err := store.Put(t.Context(), "key", "v"); err != nil {
					t.Error(err)
				}
				if _, err := store.Get(t.Context(), "key"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	open(t, path)
}
