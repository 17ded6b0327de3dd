package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// idRoutes are the routes with an id in their path, at %s, and a body that is
// right but for the id.
var idRoutes = []struct {
	method, path string
	body         any
}{
	{"GET", tasks + "/%s", nil},
	{"POST", tasks + "/%s/lease", object{}},
	{"POST", tasks + "/%s/dispatch", object{}},
	{"POST", tasks + "/%s/requeue", nil},
	{"POST", tasks + "/%s/heartbeat", object{"lease_id": unknownID}},
	{"POST", tasks + "/%s/complete", successBody(unknownID, "x")},
	{"GET", workers + "/%s", nil},
	{"DELETE", workers + "/%s", nil},
	{"POST", workers + "/%s/claim", object{}},
	{"GET", "/api/runtime/artifacts/%s", nil},
}

// oddSegments are path segments that no client should send, escaped as sent.
var oddSegments = []string{
	"%00", "a%00b", "%0a", "%0d%0aX-Evil:%201", "%20", "%2F", "a%2Fb", "%2e", "%2e%2e", "%2e%2e%2fstats", ".%2e", "..", ".", "...", "%5c..%5c",
	"%ff", "%c3%28", "%ed%a0%80", "%f8%a1%a1%a1%a1", "%7f", "%23", "TASK%23" + unknownID, "%7Bid%7D", "{id}", "*", ";", "%3b", "a;b=c", "'--", "%27%20OR%201=1",
	"null", "undefined", "-1", "0", "%25", "%2500", "\xff", "ї", "😀", unknownID + "%00", unknownID + "%20", unknownID + ".", unknownID + ".x", unknownID + ".-1",
	unknownID + ".99999999999999999999", unknownID + ".1.1", "%e2%80%ae", strings.Repeat("a", 300), strings.Repeat("%41", 1000), strings.Repeat("x", 9000),
}

// badPaths sends odd ids to every route that takes one: 4xx, and nothing changes.
func badPaths(t *testing.T, c *stacktest.Client) {
	emptyQueue(t, c)
	w := newWorker(t, c, 2)
	held, l := leased(t, c, w.ID)
	f := fixture{queued: newTask(t, c).ID, leased: held.ID, leaseID: l.ID, worker: w.ID}
	stacktest.Invariants(t, c) // the counters have caught up
	before := snapshot(t, c, f)
	for _, r := range idRoutes {
		t.Run(r.method+" "+fmt.Sprintf(r.path, "id"), func(t *testing.T) {
			for _, seg := range oddSegments {
				resp := c.Raw(t, rawRequest(r.method, fmt.Sprintf(r.path, seg), r.body))
				if _, err := failure(resp); err != nil || resp.Status < 400 || resp.Status > 499 {
					t.Errorf("segment %q: want one 4xx, got %v %s", shortName(seg), err, resp)
				}
			}
		})
	}
	wantUnchanged(t, before, snapshot(t, c, f))
}

// rawRequest is a request as bytes; the path is sent as it is.
func rawRequest(method, path string, body any) string {
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body) // the bodies of idRoutes encode
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		method, path, len(text), text)
}

// badQueries sends wrong query values to every list.
func badQueries(t *testing.T, c *stacktest.Client) {
	for range 3 {
		newTask(t, c)
	}
	for _, l := range allLists {
		t.Run(l.path, func(t *testing.T) {
			for _, limit := range []string{"0", "201", "-1", "abc", "1.5", "1e1", "0x10", "99999999999999999999", "%00", "+5", "%205", "5%20", "٣", "%ff", "1,2"} {
				wantRefusedQuery(t, c, l.path+"?limit="+limit, "limit")
			}
			for _, cursor := range badCursors(t, c, l) {
				wantRefusedQuery(t, c, l.path+"?limit=1&cursor="+cursor, "cursor")
			}
			resp := ask(t, c, "GET", l.path+"?limit=1&limit=2", nil)
			if resp.Status != http.StatusOK && resp.Status != http.StatusBadRequest {
				t.Errorf("limit twice: %s", resp)
			}
		})
	}
	for _, path := range []string{tasks, "/api/runtime/leases"} {
		for _, status := range []string{"bogus", "QUEUED", "queued%20", "%00", "%ff", "queued,leased", "%23", strings.Repeat("s", 3000)} {
			wantRefusedQuery(t, c, path+"?status="+status, "status")
		}
	}
	for _, id := range []string{"%00", "%ff", "a%2Fb", "%23", strings.Repeat("t", 3000), "not-a-uuid"} {
		resp := ask(t, c, "GET", "/api/runtime/artifacts?task_id="+id, nil)
		if resp.Status == http.StatusOK { // no such task: nothing
			wantShape(t, resp, http.StatusOK, is([]any{}))
			continue
		}
		wantFailure(t, resp, http.StatusBadRequest, "invalid", "task_id")
	}
	for _, query := range []string{"limit=%zz", "%zz=1", "a;b=c", "&&&", "=", "limit"} {
		resp := ask(t, c, "GET", tasks+"?"+query, nil)
		if resp.Status != http.StatusOK && resp.Status != http.StatusBadRequest {
			t.Errorf("query %q: %s", query, resp)
		}
	}
}

// wantRefusedQuery wants 400 that names the parameter.
func wantRefusedQuery(t *testing.T, c *stacktest.Client, path, name string) {
	t.Helper()
	resp := ask(t, c, "GET", path, nil)
	f, err := failure(resp)
	if err != nil || resp.Status != http.StatusBadRequest || f.Code != "invalid" || !namesField(f, name) {
		t.Errorf("GET %.200s: want 400 invalid that names %s, got %s", path, name, resp)
	}
}

// badCursors are texts that no list gave out, among them a true cursor damaged.
func badCursors(t *testing.T, c *stacktest.Client, l list) []string {
	t.Helper()
	bad := []string{"garbage", "%00", "%ff", "e30", "e30=", "bnVsbA", "W10", "eyJhIjoxfQ", "..%2f..", "0", strings.Repeat("A", 3000), "%F0%9F%98%80"}
	next, err := ask(t, c, "GET", l.path+"?limit=1", nil).Next()
	if err != nil {
		t.Fatal(err)
	}
	_, cursor, ok := strings.Cut(next, "cursor=")
	if !ok {
		return bad // a list of one item has no cursor to damage
	}
	cursor, _, _ = strings.Cut(cursor, "&")
	cursor = strings.TrimRight(cursor, "=")
	middle := len(cursor) / 2
	swapped := byte('A')
	if cursor[middle] == 'A' {
		swapped = 'B'
	}
	return append(bad, cursor[:middle], cursor[:middle]+string(swapped)+cursor[middle+1:], cursor+"AAAA", "A"+cursor)
}

// badRequests are odd beside the body, the path and the query.
func badRequests(t *testing.T, c *stacktest.Client) {
	const head = "Host: 127.0.0.1\r\nConnection: close\r\n"
	body := `{"context_id":"c","agent_slug":"a","prompt":"p"}`
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	create := "POST " + tasks + " HTTP/1.1\r\n" + head
	for name, tc := range map[string]struct {
		request string
		also    int // a status that is fine beside 4xx; 0 = none
	}{
		"no content type":        {create + length + "\r\n" + body, 201},
		"a form's content type":  {create + "Content-Type: application/x-www-form-urlencoded\r\n" + length + "\r\n" + body, 201},
		"a broken content type":  {create + "Content-Type: ;;;\xff\r\n" + length + "\r\n" + body, 201},
		"UTF-16 content type":    {create + "Content-Type: application/json; charset=utf-16\r\n" + length + "\r\n" + body, 201},
		"gzip that is none":      {create + "Content-Encoding: gzip\r\n" + length + "\r\n" + body, 201},
		"chunked":                {create + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body), 201},
		"broken chunks":          {create + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body, 0},
		"a negative length":      {create + "Content-Length: -1\r\n\r\n" + body, 0},
		"a length of letters":    {create + "Content-Length: abc\r\n\r\n" + body, 0},
		"two lengths":            {create + length + "Content-Length: 3\r\n\r\n" + body, 0},
		"another method hinted":  {"POST " + tasks + " HTTP/1.1\r\n" + head + "X-HTTP-Method-Override: DELETE\r\n" + length + "\r\n" + body, 201},
		"non-ASCII headers":      {"GET " + tasks + " HTTP/1.1\r\n" + head + "X-Junk: \xff\xfeїжак\r\n\r\n", 200},
		"a key nobody needs":     {"GET " + tasks + " HTTP/1.1\r\n" + head + "X-Runtime-API-Key: ключ\xff\r\n\r\n", 200},
		"a forged request id":    {"GET " + tasks + " HTTP/1.1\r\n" + head + "X-Amzn-RequestId: \"}\r\n\r\n", 200},
		"20 KB of headers":       {"GET " + tasks + " HTTP/1.1\r\n" + head + "X-Junk: " + strings.Repeat("j", 20_000) + "\r\n\r\n", 200},
		"2,000 headers":          {"GET " + tasks + " HTTP/1.1\r\n" + head + strings.Repeat("X-Junk: j\r\n", 2000) + "\r\n", 200},
		"no host":                {"GET " + tasks + " HTTP/1.1\r\nConnection: close\r\n\r\n", 0},
		"an absolute URL":        {"GET https://elsewhere.example" + tasks + " HTTP/1.1\r\n" + head + "\r\n", 200},
		"a body on GET":          {"GET " + tasks + " HTTP/1.1\r\n" + head + length + "\r\n" + body, 200},
		"a range":                {"GET " + tasks + " HTTP/1.1\r\n" + head + "Range: bytes=0-1\r\n\r\n", 200},
		"a malformed escape":     {"GET " + tasks + "/%zz HTTP/1.1\r\n" + head + "\r\n", 0},
		"a blank in the path":    {"GET " + tasks + "/a b HTTP/1.1\r\n" + head + "\r\n", 0},
		"HTTP/1.0":               {"GET " + tasks + " HTTP/1.0\r\nHost: x\r\n\r\n", 200},
		"HTTP/9.9":               {"GET " + tasks + " HTTP/9.9\r\n" + head + "\r\n", 505},
		"an expectation":         {create + "Expect: the-unexpected\r\n" + length + "\r\n" + body, 417},
		"a path without a slash": {"GET api HTTP/1.1\r\n" + head + "\r\n", 0},
		"a star":                 {"OPTIONS * HTTP/1.1\r\n" + head + "\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			resp := c.Raw(t, tc.request)
			if resp.Status != tc.also && (resp.Status < 400 || resp.Status > 499) {
				t.Errorf("want 4xx or %d, got %s", tc.also, resp)
			}
		})
	}
	if got := ask(t, c, "GET", "/api/runtime/health", nil); got.Status != http.StatusOK {
		t.Errorf("after all that: %s", got)
	}
}
