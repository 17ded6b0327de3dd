package dynamodb

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
)

// maxBody is the most bytes a request may have.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
const maxBody = 16 << 20

const contentType = "application/x-amz-json-1.0"

var errTooLarge = &apiError{namespace: nsService, name: "RequestEntityTooLargeException",
	message: "The request is larger than 16 MB", status: http.StatusRequestEntityTooLarge}

// ServeHTTP answers requests of AWS's JSON 1.0 protocol. Signatures are not
// checked: listen where only those may connect who may do everything.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		s.serveOther(rw, r)
		return
	}
	body, err := readBody(r)
	var status int
	var answer []byte
	if err == nil {
		status, answer, err = s.serve(r.Context(), r.Header.Get("X-Amz-Target"), body)
	}
	if err != nil {
		var api *apiError
		if errors.Is(err, errBroken) {
			panic(http.ErrAbortHandler) // breaks the connection
		}
		if !errors.As(err, &api) {
			return // the client is gone
		}
		status, answer, _ = errorAnswer(api)
	}
	writeHeader(rw.Header(), answer)
	rw.WriteHeader(status)
	_, _ = rw.Write(answer) // fails only when the client is gone
}

// serveOther answers what is not the protocol: GET is DynamoDB's health check.
func (s *Server) serveOther(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		_, _ = io.WriteString(rw, "healthy: dynamodb\n")
		return
	}
	http.NotFound(rw, r)
}

// bodies are buffers to read requests into. Those that grew past maxKept are not
// kept.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxKept = 64 << 10

// readBody returns the request's body. Everything that is read of the request
// shares its memory, so that it costs one allocation.
func readBody(r *http.Request) (string, error) {
	if r.ContentLength > maxBody {
		return "", errTooLarge
	}
	if r.Body == nil {
		return "", nil
	}
	buf, _ := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxKept {
			bodies.Put(buf)
		}
	}()
	buf.Reset()
	if n := int(r.ContentLength); n > 0 {
		buf.Grow(n)
		body := buf.AvailableBuffer()[:n]
		_, err := io.ReadFull(r.Body, body)
		return string(body), err
	}
	_, err := buf.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	if buf.Len() > maxBody {
		return "", errTooLarge
	}
	return buf.String(), err
}

// writeHeader sets an answer's headers. Their texts share a string, and their
// lists an array: each call has them.
func writeHeader(h http.Header, answer []byte) {
	text := strconv.AppendInt(make([]byte, 0, 128), int64(len(answer)), 10)
	length := len(text)
	text = strconv.AppendUint(text, uint64(crc32.ChecksumIEEE(answer)), 10)
	sum := len(text)
	text = appendRequestID(text)
	all := string(text)
	values := &[...]string{contentType, all[:length], all[length:sum], all[sum:]}
	// Names are in their canonical form.
	h["Content-Type"] = values[0:1:1]
	h["Content-Length"] = values[1:2:2]
	h["X-Amz-Crc32"] = values[2:3:3]
	h["X-Amzn-Requestid"] = values[3:4:4]
}

// appendRequestID appends what looks like AWS's: 52 letters and digits.
func appendRequestID(dst []byte) []byte {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	for range 4 {
		n := rand.Uint64()
		for range 13 {
			dst = append(dst, alphabet[n%32])
			n >>= 5
		}
	}
	return dst
}

// HTTPClient is an aws.HTTPClient that calls a Server directly.
type HTTPClient struct{ server *Server }

// HTTPClient returns the client to give to the SDK (aws.Config.HTTPClient, or
// the service's options): requests cross no socket. The endpoint's address does
// not matter then, but must be set.
func (s *Server) HTTPClient() *HTTPClient { return &HTTPClient{server: s} }

// Do answers req. It fails only when req's context ends, or its body cannot be
// read, or by a fault of Options.Faults; a write may still be carried out then, as over a network.
func (c *HTTPClient) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	body, err := readBody(req)
	if req.Body != nil {
		_ = req.Body.Close() // as an http.Client does
	}
	var status int
	var answer []byte
	if err == nil {
		status, answer, err = c.server.serve(ctx, target(req.Header), body)
	}
	if err != nil {
		var api *apiError
		if !errors.As(err, &api) {
			return nil, err
		}
		status, answer, _ = errorAnswer(api)
	}
	return response(req, status, answer), nil
}

func target(h http.Header) string {
	// The SDK writes the name in its canonical form.
	if v := h["X-Amz-Target"]; len(v) > 0 {
		return v[0]
	}
	return h.Get("X-Amz-Target")
}

// reply is a response in one piece.
type reply struct {
	http.Response
	body replyBody
}

type replyBody struct{ bytes.Reader }

// Close implements io.Closer.
func (*replyBody) Close() error { return nil }

func response(req *http.Request, status int, answer []byte) *http.Response {
	r := &reply{Response: http.Response{
		Status:        "200 OK",
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, 4),
		ContentLength: int64(len(answer)),
		Request:       req,
	}}
	if status != http.StatusOK {
		r.Status = strconv.Itoa(status) + " " + http.StatusText(status)
	}
	writeHeader(r.Header, answer)
	r.body.Reset(answer)
	r.Body = &r.body
	return &r.Response
}
