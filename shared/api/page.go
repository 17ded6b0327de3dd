package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
)

const defaultLimit = 50

// readPage reads limit and cursor of a list; defaultLimit may differ by list.
func readPage(q url.Values, byDefault int) (dynamo.Page, error) {
	p := dynamo.Page{Limit: byDefault, Cursor: q.Get("cursor")}
	if q.Has("limit") {
		n, err := strconv.ParseUint(q.Get("limit"), 10, 16) // takes no sign
		if err != nil || n < 1 || n > dynamo.MaxLimit {
			return p, queryFault("limit", fmt.Sprintf("must be a whole number between 1 and %d", dynamo.MaxLimit))
		}
		p.Limit = int(n)
	}
	if q.Has("cursor") && p.Cursor == "" {
		return p, queryFault("cursor", "must not be empty")
	}
	return p, nil
}

// readStatus reads the status filter of a list; "" when there is none.
func readStatus[S ~string](q url.Values, allowed []S) (S, error) {
	if !q.Has("status") {
		return "", nil
	}
	words := make([]string, len(allowed))
	for n, s := range allowed {
		if q.Get("status") == string(s) {
			return s, nil
		}
		words[n] = string(s)
	}
	return "", queryFault("status", "must be one of "+strings.Join(words, ", "))
}

func queryFault(name, rule string) error {
	f := fault.New(fault.Invalid, "The query parameter %s %s", name, rule)
	f.Fields = map[string][]string{name: {rule}}
	return f
}

// listOf is a list operation: fetch reads a page of objects, view encodes one.
func listOf[T, V any](byDefault int, view func(T) V, fetch func(*request, dynamo.Page) ([]T, string, error)) http.Handler {
	return handle(func(r *request) (response, error) {
		p, err := readPage(r.URL.Query(), byDefault)
		if err != nil {
			return response{}, err
		}
		for {
			objects, next, err := fetch(r, p)
			if err != nil {
				return response{}, err
			}
			body, err := json.Marshal(views(objects, view))
			if err != nil || wireSize(body) <= maxAnswer || p.Limit == 1 {
				return response{status: http.StatusOK, body: json.RawMessage(body), next: next}, err
			}
			// Long prompts full of characters that JSON escapes: a shorter page.
			p.Limit = max(1, p.Limit/4)
		}
	})
}

// wireSize is how long a body, which is JSON, is within the JSON of a function's
// answer: there its quotes and backslashes are escaped once more.
func wireSize(body []byte) int {
	return len(body) + bytes.Count(body, []byte{'"'}) + bytes.Count(body, []byte{'\\'})
}
