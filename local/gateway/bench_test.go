package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

const (
	benchBody   = `{"context_id":"ctx","agent_slug":"default","prompt":"` + "%s" + `"}`
	benchAnswer = 600
)

// fixedHandler reads the body and answers 600 bytes.
func fixedHandler() http.Handler {
	answer := bytes.Repeat([]byte("a"), benchAnswer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
}

// adapted is the function as Lambda runs it; good for one call at a time.
func adapted(h http.Handler) lambda.Handler {
	return lambda.NewHandler(httpadapter.New(h).ProxyWithContext)
}

var benchHandlers = map[string]lambda.Handler{
	"reflected": reflectedHandler{httpadapter.New(fixedHandler()).ProxyWithContext},
	"handler":   NewHandler(httpadapter.New(fixedHandler()).ProxyWithContext),
	"none":      saying(`{"statusCode":200,"multiValueHeaders":{"Content-Type":["application/json"]},"body":"` + strings.Repeat("a", benchAnswer) + `"}`),
}

// BenchmarkTLS compares requests through the gateway to a bare TLS server (the
// floor), both with their 8 clients in the same process.
func BenchmarkTLS(b *testing.B) {
	s := planned(1e9, "POST /api/runtime/llm-tasks/{id}/lease")
	log := NewAccessLog(io.Discard)
	defer func() { _ = log.Close() }()
	opts := Options{Stack: s, Access: log}
	b.Run("floor", func(b *testing.B) { benchTLS(b, serve(b, fixedHandler(), defaultLimits)) })
	for name, h := range benchHandlers {
		b.Run(name, func(b *testing.B) { benchTLS(b, serve(b, with(b, opts, h, anyKey()), defaultLimits)) })
	}
}

func benchTLS(b *testing.B, s *served) {
	const clients = 8
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool}, MaxIdleConnsPerHost: clients}}
	body := strings.Replace(benchBody, "%s", strings.Repeat("p", 340), 1)
	work := make(chan struct{}, clients)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range work {
				benchRequest(b, client, "https://"+s.address+"/api/runtime/llm-tasks/0197c0de-0000-7000-8000-000000000000/lease", body)
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func benchRequest(b *testing.B, client *http.Client, url, body string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Runtime-API-Key", "a-key-of-forty-characters-0123456789abcd")
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Errorf("status %d", resp.StatusCode)
	}
}

// BenchmarkGateway is a request without network: the gateway, the event both
// ways, the function's adapter.
func BenchmarkGateway(b *testing.B) {
	for name, h := range benchHandlers {
		g := with(b, Options{Stack: planned(1e9, "POST /tasks/{id}/lease")}, h, anyKey())
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/tasks/0197c0de-0000-7000-8000-000000000000/lease", strings.NewReader(benchBody))
				r.Header["X-Runtime-Api-Key"] = []string{"a-key-of-forty-characters-0123456789abcd"}
				w := httptest.NewRecorder()
				if g.ServeHTTP(w, r); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

func BenchmarkDecodeAnswer(b *testing.B) {
	payload, err := lambda.NewHandler(func() (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{StatusCode: 200, Body: `{"id":"` + strings.Repeat(`a\"`, 200) + `"}`,
			MultiValueHeaders: map[string][]string{"Content-Type": {"application/json"}, "Content-Length": {"600"}}}, nil
	}).Invoke(context.Background(), []byte("{}"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeAnswer(payload); err != nil {
			b.Fatal(err)
		}
	}
}
