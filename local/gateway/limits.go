package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// Limits of API Gateway and Lambda.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxBody    = 10 << 20 // bytes of a request's body
	maxPayload = 6 << 20  // bytes of JSON into and out of a function
	maxHeaders = 10_240   // bytes of all header values
	maxURL     = 10_240   // characters of path and query
	maxARN     = 1_600    // bytes of a method ARN, see authorizer
)

func checkSizes(r *http.Request) *refusal {
	if len(r.RequestURI) > maxURL {
		return errURITooLong
	}
	n := len(r.Host)
	for _, values := range r.Header {
		for _, v := range values {
			n += len(v)
		}
	}
	if n > maxHeaders {
		return errHeaderTooLarge
	}
	if !validHost(r.Host) {
		return errBadHost
	}
	return nil
}

// validHost lets through what can stand in a URL: the functions' adapter makes
// one of it.
func validHost(host string) bool {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
	}
	for _, c := range []byte(port) {
		if c < '0' || c > '9' {
			return false
		}
	}
	if strings.HasPrefix(name, "[") {
		return strings.HasSuffix(name, "]") && net.ParseIP(name[1:len(name)-1]) != nil
	}
	for _, c := range []byte(name) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
				return false
			}
		}
	}
	return name != ""
}

// readBody reads the body into dst and never more than the limit.
func readBody(dst []byte, r *http.Request) ([]byte, *refusal) {
	if r.ContentLength > maxBody {
		return dst, errBodyTooLarge
	}
	if r.ContentLength == 0 || r.Body == nil {
		return dst, nil
	}
	if n := int(r.ContentLength); n > cap(dst) {
		dst = make([]byte, 0, n+1) // one more: the read that finds the end needs room
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Body.Read(dst[len(dst):min(cap(dst), maxBody+1)])
		dst = dst[:len(dst)+n]
		if len(dst) > maxBody {
			return dst, errBodyTooLarge
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return dst, errSlowBody
		}
		if err != nil {
			return dst, errBadBody
		}
	}
}
