package contract

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/stacktest"
)

// TestBuiltFunctions drives functions as they are deployed: the binary polls a
// Runtime API for APIGatewayProxyRequest events. They share a DynamoDB over TCP
// with a stack, which must see what they did.
func TestBuiltFunctions(t *testing.T) {
	t.Parallel()
	faults, err := dynamodb.ParseFaults(os.Getenv("BLOOM_FAULTS"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := dynamodb.Open(t.TempDir(), dynamodb.Options{Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(db)
	t.Cleanup(server.Close)
	c := stacktest.Start(t, stacktest.Options{Args: []string{"-dynamodb", server.URL}}).Client()
	env := stacktest.FunctionEnv(server.URL, tableName(t, server.URL))
	dir := t.TempDir()

	t.Run("health", func(t *testing.T) {
		f := startFunction(t, dir, "health", env)
		for range 2 { // a warm function answers again
			resp := invoke(t, f, proxyEvent("GET", "/api/runtime/health", ""))
			wantShape(t, resp, http.StatusOK, obj(shape{"status": is("ok"), "service": is("bloom-runtime"), "storage": is("dynamodb")}))
		}
	})
	t.Run("create-task", func(t *testing.T) {
		f := startFunction(t, dir, "create-task", env)
		resp := invoke(t, f, proxyEvent("POST", tasks, `{"context_id":"c","agent_slug":"a","prompt":"from a real function"}`))
		wantShape(t, resp, http.StatusCreated, obj(taskShape.also(shape{"status": is("queued"), "prompt": is("from a real function")})))
		var task stacktest.Task
		if err := resp.Decode(&task); err != nil {
			t.Fatal(err)
		}
		if got := getTask(t, c, task.ID); got.Prompt != "from a real function" {
			t.Errorf("the stack has %+v", got)
		}
		for name, body := range map[string]string{"empty": "", "no prompt": `{"context_id":"c","agent_slug":"a"}`, "NUL": "{\"prompt\":\"a\x00\"}"} {
			if resp := invoke(t, f, proxyEvent("POST", tasks, body)); resp.Status != http.StatusBadRequest {
				t.Errorf("%s: %s", name, resp)
			} else if _, err := failure(resp); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		encoded := proxyEvent("POST", tasks, "eyJjb250ZXh0X2lkIjoiYyIsImFnZW50X3NsdWciOiJhIiwicHJvbXB0IjoicCJ9")
		encoded.IsBase64Encoded = true
		if resp := invoke(t, f, encoded); resp.Status != http.StatusCreated {
			t.Errorf("a body in base64: %s", resp)
		}
	})
}

func startFunction(t *testing.T, dir, name string, env []string) *stacktest.Function {
	t.Helper()
	path, err := stacktest.BuildFunction(t.Context(), dir, name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stacktest.StartFunction(t.Context(), path, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// proxyEvent is the event that API Gateway makes of a request.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
func proxyEvent(method, path, body string) events.APIGatewayProxyRequest {
	return events.APIGatewayProxyRequest{
		Resource: path, Path: path, HTTPMethod: method, Body: body,
		Headers:           map[string]string{"Content-Type": "application/json", "Host": "abc.execute-api.us-east-1.amazonaws.com"},
		MultiValueHeaders: map[string][]string{"Content-Type": {"application/json"}, "Host": {"abc.execute-api.us-east-1.amazonaws.com"}},
		RequestContext: events.APIGatewayProxyRequestContext{
			RequestID: "request", Stage: "live", HTTPMethod: method, ResourcePath: path, Path: "/live" + path,
			Identity: events.APIGatewayRequestIdentity{SourceIP: "192.0.2.1"},
		},
	}
}

// invoke hands a function an event and reads its answer as the gateway would.
func invoke(t *testing.T, f *stacktest.Function, event events.APIGatewayProxyRequest) stacktest.Response {
	t.Helper()
	raw, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.Invoke(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var answer events.APIGatewayProxyResponse
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	header := http.Header{}
	for name, v := range answer.Headers {
		header.Set(name, v)
	}
	for name, v := range answer.MultiValueHeaders {
		header[http.CanonicalHeaderKey(name)] = v
	}
	return stacktest.Response{Status: answer.StatusCode, Header: header, Body: []byte(answer.Body)}
}

// tableName asks the database for its only table.
func tableName(t *testing.T, url string) string {
	t.Helper()
	c := &stacktest.Client{Base: url, HTTP: http.DefaultClient}
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	resp, err := c.Send(req)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ TableNames []string }
	if err := resp.Decode(&got); err != nil || len(got.TableNames) != 1 {
		t.Fatalf("want one table: %v %s", err, resp)
	}
	return got.TableNames[0]
}
