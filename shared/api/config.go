package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/membridge"
	"github.com/bloom-runtime/bloom/shared/secret"
)

// Membridge is where the control plane of the memory sync is, and its admin key.
// Both are one secret, so that a key is never sent to another key's address.
type Membridge struct {
	Secrets *secret.Store
	Name    string // of the secret
	Client  *membridge.Client
}

type membridgeLink struct {
	URL      string `json:"membridge_server_url"`
	AdminKey string `json:"admin_key"`
}

func (m Membridge) save(ctx context.Context, l membridgeLink) error {
	text, err := json.Marshal(l)
	if err != nil { // two strings always encode
		return err
	}
	if err := m.Secrets.Put(ctx, m.Name, string(text)); err != nil {
		return fault.New(fault.Unavailable, "The admin key could not be stored; try again").Because(err)
	}
	return nil
}

// load returns the link; the zero link when none was saved.
func (m Membridge) load(ctx context.Context) (l membridgeLink, err error) {
	text, err := m.Secrets.Get(ctx, m.Name)
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return l, nil
	case err != nil:
		return l, fault.New(fault.Unavailable, "The admin key could not be read; try again").Because(err)
	case json.Unmarshal([]byte(text), &l) != nil:
		return l, fault.New(fault.Internal, "The secret %s is damaged; save the config again", m.Name)
	default:
		return l, nil
	}
}

// GetConfig is GET /api/runtime/config: 200 with the config, its key masked.
func GetConfig(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		c, err := table.Config(r.Context())
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: viewConfig(c)}, nil
	})
}

// SaveConfig is POST /api/runtime/config: 200 with the config, its key masked.
func SaveConfig(table *dynamo.Table, m Membridge) http.Handler {
	return handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		l := membridgeLink{URL: in.required("membridge_server_url", maxURL), AdminKey: in.required("admin_key", maxAdminKey)}
		if l.URL != "" {
			if err := membridge.ValidateURL(l.URL); err != nil {
				in.breaks("membridge_server_url", "%s", err)
			}
		}
		if !headerSafe(l.AdminKey) {
			in.breaks("admin_key", "must be printable ASCII, since it travels in a header")
		}
		if err := in.err(); err != nil {
			return response{}, err
		}
		if err := m.save(r.Context(), l); err != nil {
			return response{}, err
		}
		c, err := table.SaveConfig(r.Context(), l.URL, mask(l.AdminKey), r.actor)
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: viewConfig(c)}, nil
	})
}

func headerSafe(s string) bool {
	for _, c := range s {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// MembridgeFromEnv opens the link of a function's environment: MEMBRIDGE_SECRET
// names its secret. It makes no call.
func MembridgeFromEnv(getenv func(string) string) (Membridge, error) {
	cfg, err := awsconf.FromEnv(awsconf.SecretsManager)
	if err != nil {
		return Membridge{}, err
	}
	return NewMembridge(cfg, getenv), nil
}

// NewMembridge is MembridgeFromEnv with the AWS configuration given.
func NewMembridge(cfg aws.Config, getenv func(string) string) Membridge {
	return Membridge{Secrets: secret.Open(cfg), Name: getenv("MEMBRIDGE_SECRET"), Client: membridge.New(testRetries)}
}

// testRetries is how often a test of the connection is tried again, as in the original.
const testRetries = 1
