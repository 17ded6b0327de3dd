package link_test

import (
	"path/filepath"
	"testing"

	"github.com/bloom-runtime/bloom/local/secrets"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/link"
	"github.com/bloom-runtime/bloom/shared/membridge"
)

func open(t *testing.T, value string) link.Link {
	t.Helper()
	s, err := secrets.Open(filepath.Join(t.TempDir(), "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ensure(t.Context(), "link", value); err != nil {
		t.Fatal(err)
	}
	return link.Open(s.Config(), func(string) string { return "link" })
}

// TestBuiltIn: the local program's own server is linked until an admin sets another one, and unlinked when it is off.
func TestBuiltIn(t *testing.T) {
	t.Parallel()
	first, second, other := membridge.Server{URL: "http://127.0.0.1:8000", AdminKey: "a"}, membridge.Server{URL: "http://127.0.0.1:9000", AdminKey: "b"},
		membridge.Server{URL: "https://m", AdminKey: "c"}
	for _, value := range []string{"", "{}"} {
		l := open(t, value)
		for _, step := range []struct {
			builtIn, admin *membridge.Server
			linked         bool
			want           membridge.Server
		}{
			{&membridge.Server{}, nil, true, membridge.Server{}},
			{&first, nil, true, first},
			{&second, nil, true, second},
			{&membridge.Server{}, nil, true, membridge.Server{}},
			{&first, nil, true, first},
			{nil, &other, false, other},
			{&first, nil, false, other},
			{&membridge.Server{}, nil, false, other},
		} {
			if step.builtIn != nil {
				if linked, err := l.SaveBuiltIn(t.Context(), *step.builtIn); err != nil || linked != step.linked {
					t.Errorf("%+v: linked %v, %v", step, linked, err)
				}
			} else if err := l.Save(t.Context(), *step.admin); err != nil {
				t.Error(err)
			}
			if got, err := l.Load(t.Context()); err != nil || got != step.want {
				t.Errorf("%+v: %+v %v", step, got, err)
			}
		}
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	l := open(t, "not JSON")
	if _, err := l.Load(t.Context()); !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
	if err := l.Save(t.Context(), membridge.Server{URL: "http://m", AdminKey: "k"}); err != nil {
		t.Error(err)
	}
}
