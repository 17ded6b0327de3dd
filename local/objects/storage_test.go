package objects

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/bloom-runtime/bloom/shared/blob"
)

func rawClient(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "files"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A large object has one file, which goes with it; one that a crash left over goes at the next start.
func TestFilesOfLargeObjects(t *testing.T) {
	dir := t.TempDir()
	s, b := open(t, dir)
	large := bytes.Repeat([]byte("x"), inline+1)
	for _, body := range [][]byte{large, large, []byte("small"), large} {
		if err := b.Put(t.Context(), "k", body, "text/plain"); err != nil {
			t.Fatal(err)
		}
		want := 0
		if len(body) > inline {
			want = 1
		}
		if got := files(t, dir); len(got) != want {
			t.Errorf("%d bytes: files %v", len(body), got)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "files", "left-over"), large, 0o600); err != nil {
		t.Fatal(err)
	}
	_, b = open(t, dir)
	if got := files(t, dir); len(got) != 1 || got[0] == "left-over" {
		t.Errorf("after the sweep: %v", got)
	}
	if got, err := b.Get(t.Context(), "k", 1<<20); err != nil || !bytes.Equal(got, large) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("after the delete: %v", got)
	}
}

// Readers of an object that is being replaced see one of its versions, whole.
func TestReplaceWhileReading(t *testing.T) {
	bothWays(t, func(t *testing.T, _ aws.Config, b *blob.Bucket) {
		bodies := [][]byte{bytes.Repeat([]byte("a"), inline+1), bytes.Repeat([]byte("b"), 3*inline), []byte("c")}
		if err := b.Put(t.Context(), "k", bodies[0], "text/plain"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					got, err := b.Get(t.Context(), "k", 1<<20)
					if err != nil || !slices.ContainsFunc(bodies, func(b []byte) bool { return bytes.Equal(b, got) }) {
						t.Errorf("got %d bytes, %v", len(got), err)
						return
					}
				}
			})
		}
		for n := range 40 {
			if err := b.Put(t.Context(), "k", bodies[n%3], "text/plain"); err != nil {
				t.Error(err)
			}
		}
		cancel()
		wg.Wait()
	})
}

func TestConditionalPuts(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg aws.Config, _ *blob.Bucket) {
		c := rawClient(cfg)
		put := func(change func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
			in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("body")}
			change(in)
			return c.PutObject(t.Context(), in)
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := put(func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }); err == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 8 created the object", won.Load())
		}
		out, err := put(func(*s3.PutObjectInput) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := put(func(in *s3.PutObjectInput) { in.IfMatch = out.ETag }); err != nil {
			t.Errorf("the right ETag: %v", err)
		}
		for name, tt := range map[string]struct {
			change func(*s3.PutObjectInput)
			code   string
		}{
			"another ETag":   {func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"0123"`) }, "PreconditionFailed"},
			"wrong checksum": {func(in *s3.PutObjectInput) { in.ChecksumSHA256 = aws.String(strings.Repeat("A", 43) + "=") }, "BadDigest"},
			"no bucket":      {func(in *s3.PutObjectInput) { in.Bucket = aws.String("no-such-bucket") }, "NoSuchBucket"},
			"tags":           {func(in *s3.PutObjectInput) { in.Tagging = aws.String("a=b") }, "NotImplemented"},
		} {
			var api smithy.APIError
			if _, err := put(tt.change); !errors.As(err, &api) || api.ErrorCode() != tt.code {
				t.Errorf("%s: got %v, want %s", name, err, tt.code)
			}
		}
		if _, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("m")}); err == nil {
			t.Error("a multipart upload began")
		}
	})
}

func TestHeadAndMetadata(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg aws.Config, _ *blob.Bucket) {
		c := rawClient(cfg)
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("body"), ContentType: aws.String("text/x"),
			CacheControl: aws.String("no-store"), ContentDisposition: aws.String("inline"), Metadata: map[string]string{"a": "b"},
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		})
		if err != nil {
			t.Fatal(err)
		}
		h, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
		if err != nil || *h.ContentLength != 4 || *h.ContentType != "text/x" || *h.CacheControl != "no-store" || *h.ContentDisposition != "inline" ||
			h.Metadata["a"] != "b" || *h.ETag != `"841a2d689ad86bd1611447453c22c6fc"` || h.LastModified.IsZero() || h.ChecksumSHA256 == nil {
			t.Errorf("got %s %v %v %v %v, %v", *h.ETag, h.Metadata, *h.ContentType, *h.CacheControl, *h.ContentDisposition, err)
		}
		_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), IfNoneMatch: h.ETag})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "NotModified" {
			t.Errorf("not modified: got %v", err)
		}
	})
}

func TestList(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg aws.Config, b *blob.Bucket) {
		c := rawClient(cfg)
		keys := []string{"a", "a/1", "a/2/x", "a/2/y", "a/3", "b/1", "c", "ї"}
		for _, k := range keys {
			if err := b.Put(t.Context(), k, []byte("v"), "text/plain"); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			prefix, delimiter, after string
			want                     []string
		}{
			{"", "", "", keys},
			{"", "/", "", []string{"a", "a/", "b/", "c", "ї"}},
			{"a/", "/", "", []string{"a/1", "a/2/", "a/3"}},
			{"a/2/", "", "", []string{"a/2/x", "a/2/y"}},
			{"", "", "a/2/x", []string{"a/2/y", "a/3", "b/1", "c", "ї"}},
			{"nope", "", "", nil},
		} {
			for _, limit := range []int32{1, 2, 1000} {
				var got []string
				pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{
					Bucket: aws.String(bucket), Prefix: &tt.prefix, Delimiter: &tt.delimiter, StartAfter: &tt.after, MaxKeys: &limit,
				})
				for pages.HasMorePages() {
					out, err := pages.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					var page []string
					for _, o := range out.Contents {
						page = append(page, *o.Key)
					}
					for _, p := range out.CommonPrefixes {
						page = append(page, *p.Prefix)
					}
					if len(page) > int(limit) {
						t.Errorf("a page of %d", len(page))
					}
					slices.Sort(page)
					got = append(got, page...)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%+v by %d: got %v", tt, limit, got)
				}
			}
		}
		old, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: aws.String(bucket), MaxKeys: aws.Int32(3)})
		if err != nil || len(old.Contents) != 3 || !*old.IsTruncated {
			t.Errorf("ListObjects: %+v, %v", old, err)
		}
		gone, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{
			Objects: []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("never there")}},
		}})
		if err != nil || len(gone.Deleted) != 2 || len(gone.Errors) != 0 {
			t.Errorf("DeleteObjects: %+v, %v", gone, err)
		}
	})
}

// asWriter in the environment has this test's binary put objects into the folder it names until it is killed.
const asWriter = "BLOOM_TEST_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asWriter); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// bodyOf is what the writer puts under a key: its number, as long as every third key's file needs.
func bodyOf(key string, n int) []byte {
	size := 100
	if n%3 == 0 {
		size = inline + 100
	}
	return bytes.Repeat([]byte(key+"\n"), size/(len(key)+1)+1)
}

func writeForEver(dir string) {
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	b, err := blob.Open(blob.Config{Name: bucket, AWS: s.Config()})
	if err == nil {
		err = b.Ensure(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	run := rand.Text()
	for w := range 8 {
		go func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("artifacts/%s-%d-%d/1", run, w, n)
				if err := b.Put(context.Background(), key, bodyOf(key, n), "text/plain"); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(n, key)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// kill -9 in the middle of puts loses nothing that was acknowledged and leaves nothing half done.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]int{}
	for range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), asWriter+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines, seen := bufio.NewScanner(out), 0
		for lines.Scan() {
			var n int
			var key string
			if _, err := fmt.Sscan(lines.Text(), &n, &key); err != nil || !strings.HasSuffix(key, "/1") {
				continue // cut off by the kill
			}
			acknowledged[key] = n
			if seen++; seen == 50 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
	}
	if len(acknowledged) < 150 {
		t.Fatalf("only %d were acknowledged", len(acknowledged))
	}
	s, b := open(t, dir)
	for key, n := range acknowledged {
		if got, err := b.Get(t.Context(), key, 1<<20); err != nil || !bytes.Equal(got, bodyOf(key, n)) {
			t.Errorf("%s: got %d bytes, %v", key, len(got), err)
		}
	}
	large := 0
	pages := s3.NewListObjectsV2Paginator(rawClient(s.Config()), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out.Contents {
			if *o.Size > inline {
				large++
			}
			if got, err := b.Get(t.Context(), *o.Key, 1<<20); err != nil || int64(len(got)) != *o.Size || !bytes.HasPrefix(got, []byte(*o.Key+"\n")) {
				t.Errorf("%s is not whole: %d bytes, %v", *o.Key, len(got), err)
			}
		}
	}
	if got := files(t, dir); len(got) != large {
		t.Errorf("%d files for %d large objects", len(got), large)
	}
}
