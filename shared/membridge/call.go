package membridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// Server is where a Membridge is, and its admin key.
type Server struct {
	URL, AdminKey string
}

// Get asks the server for a path, which begins with a slash and is escaped, and returns its answer, a JSON value. It gives up 2 s
// before ctx's deadline. Every error is a short sentence that can be shown to a user: it carries neither the key nor the
// server's answer. Errors: *StatusError, or one of the network or of a URL that ValidateURL refuses.
func (c *Client) Get(ctx context.Context, s Server, path string) (json.RawMessage, error) {
	return c.call(ctx, s, http.MethodGet, path, nil)
}

// Post is Get for a call with a body, a JSON value. A try whose answer was lost is repeated: the call must bear it.
func (c *Client) Post(ctx context.Context, s Server, path string, body json.RawMessage) (json.RawMessage, error) {
	return c.call(ctx, s, http.MethodPost, path, body)
}

// Health asks the server how it is.
func (c *Client) Health(ctx context.Context, s Server) (json.RawMessage, error) {
	return c.Get(ctx, s, "/health")
}

func (c *Client) call(ctx context.Context, s Server, method, path string, body json.RawMessage) (json.RawMessage, error) {
	if err := ValidateURL(s.URL); err != nil {
		return nil, fmt.Errorf("the Membridge address %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) > 2*margin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	for try := 0; ; try++ {
		answer, err := c.try(ctx, s, method, path, body)
		if err == nil || try == c.retries || !retryable(err) {
			return answer, err
		}
		if !c.wait(ctx, try) {
			return nil, err
		}
	}
}

func (c *Client) try(ctx context.Context, s Server, method, path string, body json.RawMessage) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(s.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the Membridge address is not a URL")
	}
	req.Header.Set(AdminHeader, s.AdminKey)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, &networkError{err}
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated:
		return nil, &StatusError{Status: res.StatusCode, Detail: detailOf(answer, s.AdminKey)}
	case err != nil:
		return nil, &networkError{err}
	case len(answer) > maxBody:
		return nil, errLongAnswer
	case !json.Valid(answer):
		return nil, errNotJSON
	}
	return answer, nil
}

// maxDetail is how much of an answer's own words is kept, in characters.
const maxDetail = 300

// detailOf finds the sentence in an error answer: {"detail": "…"}, or of a bad body {"detail": [{"loc": […], "msg": "…"}]}.
// One that repeats the key is dropped.
func detailOf(answer []byte, key string) string {
	var sentence struct{ Detail string }
	var rules struct {
		Detail []struct {
			Loc []any
			Msg string
		}
	}
	text := ""
	switch {
	case json.Unmarshal(answer, &sentence) == nil:
		text = sentence.Detail
	case json.Unmarshal(answer, &rules) == nil:
		var all []string
		for _, r := range rules.Detail {
			place := []string{}
			for _, l := range r.Loc {
				place = append(place, fmt.Sprint(l))
			}
			all = append(all, strings.Join(place, ".")+": "+r.Msg)
		}
		text = strings.Join(all, "; ")
	}
	if key != "" && strings.Contains(text, key) {
		return ""
	}
	return printable(text, maxDetail)
}

// printable is text from the other side made fit for one line, cut to most characters.
func printable(text string, most int) string {
	var b strings.Builder
	n := 0
	for _, c := range strings.ToValidUTF8(text, "\uFFFD") {
		if n++; n > most {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(c) {
			c = ' '
		}
		b.WriteRune(c)
	}
	return strings.TrimSpace(b.String())
}
