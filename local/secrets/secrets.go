// Package secrets is AWS Secrets Manager on one machine: its wire protocol over one file.
//
// It knows GetSecretValue, PutSecretValue, CreateSecret and DescribeSecret with text values. It keeps a secret's current
// version only: no earlier versions, no binary values, no encryption beyond the file's mode (0600), no signatures checked,
// which is why nothing serves it to the network. Anything else it answers with an error that says so.
//
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html
package secrets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/shared/awsconf"
)

// record is a secret as the file keeps it.
type record struct {
	Value       string `json:"value"`
	HasValue    bool   `json:"has_value"`
	Version     string `json:"version"`
	Description string `json:"description,omitempty"`
	Created     int64  `json:"created_ms"`
	Changed     int64  `json:"changed_ms"`
}

// Server answers the SDK and implements http.Handler. It is safe for concurrent use.
type Server struct {
	path string
	mu   sync.Mutex
	all  map[string]record
	now  func() time.Time
}

// Open reads the file at path, which need not exist. The caller holds the lock of the data folder.
func Open(path string) (*Server, error) {
	s := &Server{path: path, all: map[string]record{}, now: time.Now}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	if err := json.Unmarshal(b, &s.all); err != nil || s.all == nil {
		return nil, fmt.Errorf("%s is damaged: restore it from a copy, or remove it and set the secrets again", path)
	}
	return s, nil
}

// Config reaches the server from this process, without a socket.
func (s *Server) Config() aws.Config {
	return awsconf.Build(awsconf.DefaultRegion, "http://secrets.internal", "local", "local", "", client{s})
}

// Ensure creates the secret where there is none, with value unless that is empty.
func (s *Server) Ensure(_ context.Context, name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[name]; ok {
		return nil
	}
	now := s.now().UnixMilli()
	return s.store(name, record{Value: value, HasValue: value != "", Version: versionOf(name, now), Created: now, Changed: now})
}

// store keeps one secret, in memory only once the file has it. The caller holds mu.
func (s *Server) store(name string, r record) error {
	next := maps.Clone(s.all)
	next[name] = r
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := datadir.WriteFile(s.path, append(b, '\n')); err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	s.all = next
	return nil
}

func versionOf(name string, at int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, at))
	return hex.EncodeToString(sum[:16])
}

// arn is made from the name alone, so that it stays the same. AWS adds six characters too.
func arn(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "arn:aws:secretsmanager:" + awsconf.DefaultRegion + ":000000000000:secret:" + name + "-" + hex.EncodeToString(sum[:3])
}

// find looks a secret up by name or ARN. The caller holds mu.
func (s *Server) find(id string) (string, record, error) {
	if r, ok := s.all[id]; ok {
		return id, r, nil
	}
	for name, r := range s.all {
		if arn(name) == id {
			return name, r, nil
		}
	}
	return "", record{}, &apiError{http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."}
}
