package api

import (
	"context"
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/link"
	"github.com/bloom-runtime/bloom/shared/membridge"
)

// Membridge is the control plane of the memory sync, as the runtime's link says, and how to call it.
type Membridge struct {
	Link   link.Link
	Client *membridge.Client
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
		l := membridge.Server{URL: in.required("membridge_server_url", maxURL), AdminKey: in.required("admin_key", maxAdminKey)}
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
		if err := m.Link.Save(r.Context(), l); err != nil {
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
	l, err := link.FromEnv(getenv)
	return NewMembridge(l), err
}

// NewMembridge is MembridgeFromEnv with the link given.
func NewMembridge(l link.Link) Membridge {
	return Membridge{Link: l, Client: membridge.New(membridge.Timeout, membridge.Retries)}
}

// LinkBuiltIn links the runtime to the local program's own Membridge, or unlinks it when s is zero. A server that an admin has
// set stays.
func LinkBuiltIn(ctx context.Context, table *dynamo.Table, l link.Link, s membridge.Server) error {
	linked, err := l.SaveBuiltIn(ctx, s)
	if err != nil || !linked {
		return err
	}
	c, err := table.Config(ctx)
	if err != nil || c.MembridgeURL == s.URL && c.AdminKeyMasked == mask(s.AdminKey) {
		return err
	}
	_, err = table.SaveConfig(ctx, s.URL, mask(s.AdminKey), "system")
	return err
}
