// Package objects is the S3 server of one machine: versitygw's protocol in this process, called without a socket, over a
// storage of our own. The plain calls of the program itself go to the storage past versitygw; presigned links and all other
// calls have their signature checked.
//
// A Put is atomic and durable: readers see the old object or the new one whenever the process dies, and the answer comes
// after the fsync. It knows buckets, objects (put, get, head, delete, conditions, ranges, checksums) and lists of them, and
// presigned links; multipart uploads, copies, tags, versions, policies and lifecycle rules it answers NotImplemented.
//
// versitygw's limit is ours: a process holds at most one server at a time.
package objects

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"

	"github.com/bloom-runtime/bloom/shared/awsconf"
)

const (
	// maxRequests bounds the calls that versitygw has at work at once; more are answered SlowDown, which the SDK tries again. It
	// also bounds the writes that wait for the storage's writer; who finds no room waits as long as its context allows.
	maxRequests = 1024
	// startTimeout bounds how long Open waits for the server.
	startTimeout = 10 * time.Second
	// endpoint is the name the server is called by in this process. Nothing resolves it.
	endpoint = "http://objects.internal"
)

// Server is a running server. It is safe for concurrent use.
type Server struct {
	credentials credentials
	storage     *storage
	handler     fasthttp.RequestHandler
	stop        context.CancelFunc
	done        chan error
	once        sync.Once
	closeErr    error
}

// Options of a server.
type Options struct {
	// OnFatal is called once, on a goroutine of its own, when the server can no longer write or read its files. The error is
	// one sentence; the process should report it and end. nil = nobody is told.
	OnFatal func(error)
}

// Open starts the server over dir, which it creates. The folder holds `index/` (small objects, and what is known of all),
// `files/` (the bytes of large ones) and `credentials.json` (mode 0600), made once. The caller holds the lock of the data
// folder. An error is one sentence.
func Open(dir string, o Options) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	creds, err := loadCredentials(filepath.Join(dir, "credentials.json"))
	if err != nil {
		return nil, err
	}
	store, err := openStorage(dir, o.OnFatal)
	if err != nil {
		return nil, err
	}
	s := &Server{credentials: creds, storage: store, done: make(chan error, 1)}
	if err := s.start(store); err != nil {
		return nil, errors.Join(fmt.Errorf("objects: %w", err), store.close())
	}
	return s, nil
}

// start runs the gateway and takes hold of its handler. The gateway insists on a socket and keeps its handler to itself, so
// it gets a socket in a folder of its own, one call through which brings the handler, and the socket's name is removed:
// from then on nothing outside this process can reach the server.
func (s *Server) start(backend *storage) error {
	tmp, err := os.MkdirTemp("", "bloom-s3-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	socket := filepath.Join(tmp, "s")
	listening := make(chan struct{})
	app := make(chan *fiber.App, 1)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	root := auth.Account{Access: s.credentials.AccessKey, Secret: s.credentials.SecretKey, Role: auth.RoleAdmin}
	cfg := &embedgw.Config{
		RootUserAccess:    s.credentials.AccessKey,
		RootUserSecret:    s.credentials.SecretKey,
		Region:            awsconf.DefaultRegion,
		Ports:             []string{socket},
		MaxConnections:    maxRequests,
		MaxRequests:       maxRequests,
		MultipartMaxParts: 10000,
		Quiet:             true,
		KeepAlive:         true,
		DisableACLs:       true,
		IAMService:        auth.NewIAMServiceSingle(root),
		S3Options: []s3api.Option{
			s3api.WithOnListen(func() { close(listening) }),
			s3api.WithRoute(fiber.MethodGet, handlerPath, func(c fiber.Ctx) error {
				select {
				case app <- c.App():
				default:
				}
				return c.SendStatus(fiber.StatusNoContent)
			}),
		},
	}
	go func() { s.done <- embedgw.RunVersityGW(ctx, backend, cfg) }()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-listening:
	case err := <-s.done:
		stop()
		return err
	case <-timeout.C:
		stop()
		return errors.New("the S3 server did not start in time")
	}
	if err := callOnce(ctx, socket); err != nil {
		stop()
		return errors.Join(err, <-s.done)
	}
	s.handler = (<-app).Handler()
	return nil
}

// handlerPath cannot be a bucket: names of buckets have no underscore.
const handlerPath = "/_handler"

func callOnce(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+handlerPath, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the S3 server answered %s to its first request", res.Status)
	}
	return nil
}

// Config reaches the server from this process, without a socket and without signatures. The root credentials in it sign
// presigned links.
func (s *Server) Config() aws.Config {
	way := &direct{storage: s.storage, gateway: &client{s.handler}, signer: v4.NewSigner(), credentials: s.credentials}
	cfg := awsconf.Build(awsconf.DefaultRegion, endpoint, s.credentials.AccessKey, s.credentials.SecretKey, "", way)
	cfg.APIOptions = append(cfg.APIOptions, unsigned)
	return cfg
}

// Close stops the server. Calls at work are finished first by whoever made them; Close twice is no error.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.stop()
		s.closeErr = errors.Join(<-s.done, s.storage.close())
	})
	return s.closeErr
}
