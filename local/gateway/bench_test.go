package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

const (
	benchBody   = `{"context_id":"ctx","agent_slug":"default","prompt":"` + "%s" + `"}`
	benchAnswer = 600
)

// fixedHandler reads the body and answers 600 bytes that are like JSON.
func fixedHandler() http.Handler {
	answer := bytes.Repeat([]byte(`"name":"value",`), benchAnswer/15)
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
	"none":      saying(`{"statusCode":200,"multiValueHeaders":{"Content-Type":["application/json"]},"body":"` + strings.Repeat(`\"name\":\"value\",`, benchAnswer/15) + `"}`),
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

// benchTLS sends a request again and again from 8 connections that do no more
// than they must, so that most of the processor time is the server's.
func benchTLS(b *testing.B, s *served) {
	const clients = 8
	body := strings.Replace(benchBody, "%s", strings.Repeat("p", 340), 1)
	request := []byte("POST /api/runtime/llm-tasks/0197c0de-0000-7000-8000-000000000000/lease HTTP/1.1\r\nHost: " + s.address +
		"\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\nContent-Type: application/json" +
		"\r\nX-Runtime-Api-Key: a-key-of-forty-characters-0123456789abcd\r\nAccept-Encoding: gzip\r\n\r\n" + body)
	work := make(chan struct{}, clients)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() { benchClient(b, s, request, work) })
	}
	b.ReportAllocs()
	started := cpuTime()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	reportCPU(b, started)
}

func benchClient(b *testing.B, s *served, request []byte, work <-chan struct{}) {
	conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.pool})
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for range work {
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Errorf("%v: %v", resp, err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, started time.Duration) {
	b.ReportMetric(float64((cpuTime()-started).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// BenchmarkGateway is a request without network: the gateway, the event both
// ways, the function's adapter.
func BenchmarkGateway(b *testing.B) {
	for name, h := range benchHandlers {
		g := with(b, Options{Stack: planned(1e9, "POST /tasks/{id}/lease")}, h, anyKey())
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			started := cpuTime()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/tasks/0197c0de-0000-7000-8000-000000000000/lease", strings.NewReader(benchBody))
				r.Header["X-Runtime-Api-Key"] = []string{"a-key-of-forty-characters-0123456789abcd"}
				w := httptest.NewRecorder()
				if g.ServeHTTP(w, r); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
			reportCPU(b, started)
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
	var buffer []byte
	started := cpuTime()
	for b.Loop() {
		a, err := decodeAnswer(payload, buffer)
		if err != nil {
			b.Fatal(err)
		}
		buffer = a.body
	}
	reportCPU(b, started)
}

func BenchmarkDecodeEvent(b *testing.B) {
	var payload []byte
	keep := handlerFunc(func(_ context.Context, p []byte) ([]byte, error) {
		payload = bytes.Clone(p)
		return []byte(`{"statusCode":200}`), nil
	})
	g := with(b, Options{Stack: testStack("POST /tasks/{id}/lease")}, keep, anyKey())
	send(g, "POST", "/tasks/0197c0de-0000-7000-8000-000000000000/lease", strings.NewReader(benchBody),
		"X-Runtime-API-Key: good", "User-Agent: Go-http-client/1.1", "Content-Type: application/json", "Accept-Encoding: gzip")
	b.ReportAllocs()
	started := cpuTime()
	for b.Loop() {
		if _, err := decodeEvent(payload, nil); err != nil {
			b.Fatal(err)
		}
	}
	reportCPU(b, started)
}
