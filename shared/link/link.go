// Package link keeps where Membridge is and its admin key. Both are one secret, so that a key is never sent to another key's
// address.
package link

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/membridge"
	"github.com/bloom-runtime/bloom/shared/secret"
)

// Link is the secret. It is safe for concurrent use.
type Link struct {
	secrets *secret.Store
	name    string
}

// FromEnv opens the link of a function's environment: MEMBRIDGE_SECRET names its secret. It makes no call.
func FromEnv(getenv func(string) string) (Link, error) {
	cfg, err := awsconf.FromEnv(awsconf.SecretsManager)
	if err != nil {
		return Link{}, err
	}
	return Open(cfg, getenv), nil
}

// Open is FromEnv with the AWS configuration given.
func Open(cfg aws.Config, getenv func(string) string) Link {
	return Link{secret.Open(cfg), getenv("MEMBRIDGE_SECRET")}
}

// stored is the secret's text.
type stored struct {
	URL      string `json:"membridge_server_url"`
	AdminKey string `json:"admin_key"`
	// BuiltIn says that the local program linked its own Membridge, and nobody another one.
	BuiltIn bool `json:"built_in,omitempty"`
}

// Save sets the server. Errors: unavailable.
func (l Link) Save(ctx context.Context, s membridge.Server) error {
	return l.put(ctx, stored{URL: s.URL, AdminKey: s.AdminKey})
}

// SaveBuiltIn sets the local program's own server, unless an admin has set another one; linked tells which.
func (l Link) SaveBuiltIn(ctx context.Context, s membridge.Server) (linked bool, err error) {
	v, err := l.get(ctx)
	if err != nil || v.URL != "" && !v.BuiltIn {
		return false, err
	}
	if v = (stored{s.URL, s.AdminKey, true}); v.URL == "" {
		v = stored{}
	}
	return true, l.put(ctx, v)
}

func (l Link) put(ctx context.Context, v stored) error {
	text, err := json.Marshal(v)
	if err != nil { // strings always encode
		return err
	}
	if err := l.secrets.Put(ctx, l.name, string(text)); err != nil {
		return fault.New(fault.Unavailable, "The admin key could not be stored; try again").Because(err)
	}
	return nil
}

// Load returns the server; the zero Server when none was saved. Errors: unavailable, internal for a secret that is damaged.
func (l Link) Load(ctx context.Context) (membridge.Server, error) {
	v, err := l.get(ctx)
	return membridge.Server{URL: v.URL, AdminKey: v.AdminKey}, err
}

func (l Link) get(ctx context.Context) (v stored, err error) {
	text, err := l.secrets.Get(ctx, l.name)
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return v, nil
	case err != nil:
		return v, fault.New(fault.Unavailable, "The admin key could not be read; try again").Because(err)
	case json.Unmarshal([]byte(text), &v) != nil:
		return stored{}, fault.New(fault.Internal, "The secret %s is damaged; save the config again", l.name)
	default:
		return v, nil
	}
}
