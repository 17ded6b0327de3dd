package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

func TestOverTCP(t *testing.T) {
	t.Parallel()
	_, s := newClient(t)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	c := tcpClient(web.URL)
	table := createMain(t, c)
	put(t, c, table, item{"PK": str("a"), "SK": str("b"), "x": str("ünï\u0000code")})
	wantItem(t, fetch(t, c, table, pksk("a", "b")), map[string]string{"PK": "a", "SK": "b", "x": "ünï\u0000code"})
	_, err := c.PutItem(context.Background(), &sdk.PutItemInput{TableName: &table, Item: item{"PK": str("a")}})
	wantError(t, err, "ValidationException", "Missing the key SK")
}

// post sends a body as the operation's and returns the answer.
func post(t testing.TB, url, target string, body io.Reader) (status int, header http.Header, answer []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", target)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, answer
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	c, s := newClient(t)
	createMain(t, c)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	cases := []struct {
		name, target, body string
		status             int
		errType            string
	}{
		{"good", "DynamoDB_20120810.ListTables", `{}`, 200, ""},
		{"unknown operation", "DynamoDB_20120810.Nope", `{}`, 400, "com.amazon.coral.service#UnknownOperationException"},
		{"no target", "", `{}`, 400, "com.amazon.coral.service#UnknownOperationException"},
		{"not JSON", "DynamoDB_20120810.GetItem", `{"TableName":`, 400, "com.amazon.coral.service#SerializationException"},
		{"not an object", "DynamoDB_20120810.GetItem", `[]`, 400, "com.amazon.coral.service#SerializationException"},
		{"wrong type", "DynamoDB_20120810.GetItem", `{"TableName":1}`, 400, "com.amazon.coral.service#SerializationException"},
		{"deep", "DynamoDB_20120810.GetItem", `{"Key":` + strings.Repeat("[", 20000), 400, "com.amazon.coral.service#SerializationException"},
		{"rest", "DynamoDB_20120810.GetItem", `{"TableName":"main-table"} x`, 400, "com.amazon.coral.service#SerializationException"},
		{"no table", "DynamoDB_20120810.GetItem", `{}`, 400, "com.amazon.coral.validate#ValidationException"},
		{"broken UTF-8", "DynamoDB_20120810.GetItem", "{\"TableName\":\"\xff\"}", 400, "com.amazon.coral.service#SerializationException"},
		{"lone surrogate", "DynamoDB_20120810.GetItem", `{"TableName":"\ud800"}`, 400, "com.amazon.coral.service#SerializationException"},
		{"missing table", "DynamoDB_20120810.GetItem", `{"TableName":"nope","Key":{"PK":{"S":"a"}}}`, 400, "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"},
		{"by ARN", "DynamoDB_20120810.DescribeTable", `{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/main-table"}`, 200, ""},
		{"streams", "DynamoDBStreams_20120810.ListStreams", `{}`, 200, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			status, header, answer := post(t, web.URL, tc.target, strings.NewReader(tc.body))
			var e struct {
				Type string `json:"__type"`
			}
			if err := json.Unmarshal(answer, &e); err != nil {
				t.Fatalf("%s: %v", answer, err)
			}
			if status != tc.status || e.Type != tc.errType {
				t.Errorf("got %d %s", status, answer)
			}
			if got := header.Get("X-Amz-Crc32"); got != strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer)), 10) {
				t.Errorf("checksum %s", got)
			}
			if id := header.Get("X-Amzn-RequestId"); len(id) != 52 {
				t.Errorf("request id %q", id)
			}
		})
	}
	if status, _, _ := post(t, web.URL, "DynamoDB_20120810.GetItem", bytes.NewReader(make([]byte, maxBody+1))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: got %d", status)
	}
	// Without a Content-Length.
	if status, _, _ := post(t, web.URL, "DynamoDB_20120810.GetItem", io.MultiReader(bytes.NewReader(make([]byte, maxBody+1)))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body in chunks: got %d", status)
	}
}

func TestInProcessContext(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestClosedServer(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	table := createMain(t, c)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b")})
	wantError(t, err, "InternalServerError", "shutting down")
	if err := s.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}
