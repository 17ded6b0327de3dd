package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// wantField demands an invalid fault that names one field.
func wantField(t testing.TB, err error, field string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != fault.Invalid || len(f.Fields[field]) == 0 || f.Message == "" {
		t.Errorf("want a fault that names %s, got %v", field, err)
	}
}

func TestReadPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query string
		want  dynamo.Page
		field string // that is wrong; "" = none is
	}{
		{"", dynamo.Page{Limit: 7}, ""},
		{"limit=1", dynamo.Page{Limit: 1}, ""},
		{"limit=200", dynamo.Page{Limit: 200}, ""},
		{"limit=200&cursor=abc", dynamo.Page{Limit: 200, Cursor: "abc"}, ""},
		{"cursor=abc&other=1", dynamo.Page{Limit: 7, Cursor: "abc"}, ""},
		{"limit=0", dynamo.Page{}, "limit"},
		{"limit=201", dynamo.Page{}, "limit"},
		{"limit=-1", dynamo.Page{}, "limit"},
		{"limit=", dynamo.Page{}, "limit"},
		{"limit", dynamo.Page{}, "limit"},
		{"limit=1.5", dynamo.Page{}, "limit"},
		{"limit=1e1", dynamo.Page{}, "limit"},
		{"limit=0x10", dynamo.Page{}, "limit"},
		{"limit=%2B5", dynamo.Page{}, "limit"},
		{"limit=+5", dynamo.Page{}, "limit"},
		{"limit=5%00", dynamo.Page{}, "limit"},
		{"limit=%D9%A3", dynamo.Page{}, "limit"},
		{"limit=%ff", dynamo.Page{}, "limit"},
		{"limit=99999999999999999999", dynamo.Page{}, "limit"},
		{"cursor=", dynamo.Page{}, "cursor"},
		{"cursor", dynamo.Page{}, "cursor"},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		p, err := readPage(q, 7)
		switch {
		case c.field != "":
			wantField(t, err, c.field)
		case err != nil || p != c.want:
			t.Errorf("%q: %+v %v, want %+v", c.query, p, err, c.want)
		}
	}
}

func TestReadStatus(t *testing.T) {
	t.Parallel()
	for _, s := range task.Statuses {
		if got, err := readStatus(url.Values{"status": {string(s)}}, task.Statuses); err != nil || got != s {
			t.Errorf("%s: %q %v", s, got, err)
		}
	}
	if got, err := readStatus(url.Values{}, task.Statuses); err != nil || got != "" {
		t.Errorf("no status: %q %v", got, err)
	}
	for _, bad := range []string{"", "bogus", "QUEUED", "queued ", "queued,leased", "\x00", "\xff", strings.Repeat("s", 3000)} {
		_, err := readStatus(url.Values{"status": {bad}}, task.Statuses)
		wantField(t, err, "status")
	}
	if _, err := readStatus(url.Values{"status": {"queued"}}, task.LeaseStatuses); err == nil {
		t.Error("a lease cannot be queued")
	}
}

// TestListShortensPages: a page that a function could not answer is read again,
// shorter, and its cursor follows.
func TestListShortensPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		prompt string
		pages  []int // limits asked for; the first is the list's default
	}{
		{"short prompts", strings.Repeat("p", 4<<10), []int{200}},
		{"quotes, which are escaped twice", strings.Repeat(`"`, 20<<10), []int{100, 25}},
		{"one too long", strings.Repeat(`"`, 1600<<10), []int{2, 1}},
	} {
		var asked []int
		h := listOf(c.pages[0], viewTask, func(_ *request, p dynamo.Page) ([]task.Task, string, error) {
			asked = append(asked, p.Limit)
			tasks := make([]task.Task, p.Limit)
			for n := range tasks {
				tasks[n].Prompt = c.prompt
			}
			return tasks, fmt.Sprint("after-", p.Limit), nil
		})
		payload, err := json.Marshal(event("GET", "/api/runtime/llm-tasks", nil, ""))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := lambda.NewHandler(NewEntry(h)).Invoke(context.Background(), payload)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(asked) != fmt.Sprint(c.pages) {
			t.Errorf("%s: asked for %v, want %v", c.name, asked, c.pages)
		}
		last := asked[len(asked)-1]
		if last > 1 && len(answer) > 6<<20 {
			t.Errorf("%s: the answer has %d bytes", c.name, len(answer))
		}
		if !strings.Contains(string(answer), fmt.Sprint("cursor=after-", last)) {
			t.Errorf("%s: the link does not follow the page of %d", c.name, last)
		}
	}
}

// TestWireSize holds wireSize to what the answer really takes.
func TestWireSize(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", `"quoted" \ and \\ more`, "line\nline\ttab", "\x01\x1f\x7f", "їжак 😀 \u2028 <&>"} {
		h := handle(func(*request) (response, error) {
			return response{status: http.StatusOK, body: map[string]string{"v": text}}, nil
		})
		resp := call(t, h, event("GET", workerPath, nil, ""))
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // as aws-lambda-go does
		if err := e.Encode(strings.TrimSuffix(resp.Body, "\n")); err != nil {
			t.Fatal(err)
		}
		if got, want := wireSize([]byte(strings.TrimSuffix(resp.Body, "\n"))), b.Len()-len("\"\"\n"); got != want {
			t.Errorf("%q: %d, on the wire %d", text, got, want)
		}
	}
}

func TestListErrors(t *testing.T) {
	t.Parallel()
	h := listOf(50, viewTask, func(*request, dynamo.Page) ([]task.Task, string, error) {
		return nil, "", fault.New(fault.Unavailable, "The store is overloaded; try again in a few seconds")
	})
	e := event("GET", "/api/runtime/llm-tasks", nil, "")
	wantError(t, call(t, h, e), http.StatusServiceUnavailable, "unavailable")
	e.MultiValueQueryStringParameters = map[string][]string{"limit": {"many"}}
	if body := wantError(t, call(t, h, e), http.StatusBadRequest, "invalid"); len(body.Fields["limit"]) != 1 {
		t.Errorf("%+v", body)
	}
	empty := listOf(50, viewTask, func(*request, dynamo.Page) ([]task.Task, string, error) { return nil, "", nil })
	if resp := call(t, empty, event("GET", "/api/runtime/llm-tasks", nil, "")); resp.Body != "[]\n" {
		t.Errorf("an empty list is %q", resp.Body)
	}
}

// TestQueryFaultsOfArtifacts: the filter of the list is held to an id's form before
// the table is asked.
func TestQueryFaultsOfArtifacts(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "x", "%00", base64.StdEncoding.EncodeToString([]byte("x")), strings.Repeat("t", 3000)} {
		e := event("GET", "/api/runtime/artifacts", nil, "")
		e.MultiValueQueryStringParameters = map[string][]string{"task_id": {id}}
		body := wantError(t, call(t, ListArtifacts(nil), e), http.StatusBadRequest, "invalid")
		if len(body.Fields["task_id"]) != 1 {
			t.Errorf("%q: %+v", id, body)
		}
	}
}
