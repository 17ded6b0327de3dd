package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// world is what a data folder holds: entries by "folder key", files by name.
type world map[string]string

const entries = 3000

// makeData fills a data folder as a stopped stack leaves it, and returns what is in it.
func makeData(t testing.TB, dir string) world {
	t.Helper()
	d, err := datadir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	w := world{}
	for name, content := range map[string]string{
		"secrets.json": "{}", "membridge.key": "key", "later/added.bin": "x", "objects/credentials.json": "{}", "tls/ca.pem": "ca", "tls/server.pem": "server", "events/a-b.json": `{"stream":"s"}`,
	} {
		write(t, filepath.Join(dir, name), content)
		w[name] = content
	}
	write(t, filepath.Join(dir, "tls", ".ca.pem.123"), "left by a crash")
	write(t, filepath.Join(dir, "logs", "bloom.log"), "no part of a backup")
	table := w.fill(t, filepath.Join(dir, "table"), func(i int) (string, string) { return fmt.Sprintf("d%05d", i), noise(random.IntN(2000)) })
	defer table()
	large := []string{}
	for range 20 {
		name := uuid.NewString()
		large = append(large, name)
		content := noise(40_000 + random.IntN(20_000))
		write(t, filepath.Join(dir, filesFolder, name), content)
		w[filesFolder+"/"+name] = content
	}
	index := w.fill(t, filepath.Join(dir, indexFolder), func(i int) (string, string) {
		if i < len(large) {
			return "f" + large[i], "o"
		}
		return fmt.Sprintf("o%05d", i), noise(random.IntN(500))
	})
	defer index()
	return w
}

func (w world) fill(t testing.TB, path string, entry func(i int) (key, value string)) (closeStore func()) {
	t.Helper()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	for i := range entries {
		key, value := entry(i)
		b.Set([]byte(key), []byte(value))
		w[filepath.Base(path)+" "+key] = value
	}
	done := make(chan error, 1)
	s.Commit(b, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// readData returns what a data folder holds, of what belongs into a backup.
func readData(t testing.TB, dir string) world {
	t.Helper()
	d, err := datadir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	w := world{}
	for _, folder := range []string{tableFolder, indexFolder} {
		path := filepath.Join(dir, folder)
		s, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v := s.View()
		it, err := v.Iter(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			w[filepath.Base(path)+" "+string(it.Key())] = string(it.Value())
		}
		if err := it.Close(); err != nil {
			t.Error(err)
		}
		v.Release()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		own := strings.HasPrefix(name, filesFolder+"/") || !strings.HasPrefix(name, indexFolder+"/") && !strings.HasPrefix(name, tableFolder+"/")
		if err != nil || e.IsDir() || !own || name == datadir.LockFile || name == datadir.LayoutFile ||
			strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(name, "logs/") {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		w[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// makeBackup returns the path of a backup of a new data folder, and what is in it.
func makeBackup(t testing.TB) (string, world) {
	t.Helper()
	dir := t.TempDir()
	want := makeData(t, filepath.Join(dir, "data"))
	to := filepath.Join(dir, "backup")
	sum, err := Make(t.Context(), filepath.Join(dir, "data"), to)
	if err != nil {
		t.Fatal(err)
	}
	if sum.TableEntries != entries || sum.ObjectEntries != entries || sum.LargeObjects != 20 {
		t.Errorf("the backup says %+v", sum)
	}
	return to, want
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	from, want := makeBackup(t)
	info, err := os.Stat(from)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup's mode is %v, %v", info.Mode(), err)
	}
	for _, target := range []string{"absent", "empty"} {
		dir := filepath.Join(t.TempDir(), "data")
		if target == "empty" {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Restore(t.Context(), from, dir); err != nil {
			t.Fatal(err)
		}
		if got := readData(t, dir); !maps.Equal(got, want) {
			t.Errorf("%s: %d of %d are restored, or differ", target, len(got), len(want))
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: the folder's mode is %v, %v", target, info.Mode(), err)
		}
		alone(t, dir)
	}
}

// alone fails the test if anything but dir's own name is in its folder.
func alone(t testing.TB, dir string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.Name() != filepath.Base(dir) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// sentence wants an error to be one line with these words.
func sentence(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want …%s…", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
		t.Errorf("not a sentence: %q", err)
	}
}

// A backup with any byte changed is refused, or the change means nothing; one that is cut off anywhere is refused. Nothing
// is left of the attempt.
func TestDamagedBackup(t *testing.T) {
	t.Parallel()
	from, want := makeBackup(t)
	whole, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	attempt := func(what string, content []byte, words ...string) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "data")
		bad := filepath.Join(t.TempDir(), "backup")
		write(t, bad, string(content))
		_, err := Restore(t.Context(), bad, dir)
		if err == nil {
			if got := readData(t, dir); len(words) > 0 || !maps.Equal(got, want) {
				t.Errorf("seed %d: %s: it was restored", seed, what)
			}
			return
		}
		sentence(t, err, append(words, bad)...)
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %s is there: %v", what, dir, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) > 0 {
			t.Errorf("%s: %s was left behind", what, left[0].Name())
		}
	}
	for range 12 {
		at := random.IntN(len(whole))
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << random.IntN(8)
		attempt(fmt.Sprintf("bit flipped at %d of %d", at, len(whole)), flipped)
		cut := random.IntN(len(whole))
		attempt(fmt.Sprintf("cut off at %d of %d", cut, len(whole)), whole[:cut], "is cut off")
	}
	attempt("last byte missing", whole[:len(whole)-1], "is cut off")
	attempt("something behind it", append(bytes.Clone(whole), "more"...), "is damaged")
	attempt("empty", nil, "is cut off")
	attempt("a text", []byte(strings.Repeat("not a backup\n", 1000)), "is not a backup")
}

// parts makes an archive of any parts, with right lists and a right end.
func parts(t testing.TB, all ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	a, err := newArchive(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if err := a.addBytes(f.name, 0o600, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compressed(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	_, err = z.Write(content)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// retold makes an archive again with each file as edit leaves it; nil drops it.
func retold(t testing.TB, archive []byte, edit func(name string, content []byte) []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if content = edit(h.Name, content); content == nil {
			continue
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed(t, out.Bytes())
}

// What is sound in form and not a whole backup of this program is refused.
func TestForgedBackup(t *testing.T) {
	t.Parallel()
	headOf := func(text string) file { return file{name: headName, content: []byte(text)} }
	good := headOf(`{"format":"bloom-backup","version":1,"layout":1,"table":true,"objects":true}`)
	chunk := file{name: "table/000001.entries", content: appendEntry(nil, []byte("k"), []byte("v"))}
	sound := parts(t, good, chunk, file{name: "secrets.json", content: []byte("{}")})
	same := func(_ string, content []byte) []byte { return content }
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"told again, unchanged":      {retold(t, sound, same), ""},
		"another program's":          {compressed(t, []byte("something else")), "is not a backup"},
		"another archive":            {parts(t, file{name: "README", content: []byte("x")}), "is not a backup"},
		"another's head":             {parts(t, headOf(`{"format":"other"}`)), "is not a backup"},
		"newer format":               {parts(t, headOf(`{"format":"bloom-backup","version":2,"layout":1}`)), "newer version of this program"},
		"newer layout":               {parts(t, headOf(`{"format":"bloom-backup","version":1,"layout":99}`)), "newer version of this program"},
		"a way out":                  {parts(t, good, file{name: "../evil", content: []byte("x")}), "no backup does"},
		"a way out of a folder":      {parts(t, good, file{name: "table/../../evil.entries", content: []byte("x")}), "no backup does"},
		"a folder too deep":          {parts(t, good, file{name: "a/b/c", content: []byte("x")}), "no backup does"},
		"the mark of a whole folder": {parts(t, good, file{name: "layout", content: []byte("x")}), "no backup does"},
		"a file of the store":        {parts(t, good, file{name: "table/MANIFEST-000001", content: []byte("x")}), "no backup does"},
		"the lock":                   {parts(t, good, file{name: "lock", content: []byte("x")}), "no backup does"},
		"half an entry":              {parts(t, good, file{name: "table/000001.entries", content: []byte{200, 1}}), "is damaged"},
		"a file twice": {parts(t, good, file{name: "secrets.json", content: []byte("{}")}, file{name: "secrets.json", content: []byte("{}")}),
			"cannot be written"},
		"a part changed": {retold(t, sound, func(n string, c []byte) []byte {
			if n == "secrets.json" {
				return []byte("[]")
			}
			return c
		}), "differs from its SHA-256"},
		"a part missing": {retold(t, sound, func(n string, c []byte) []byte {
			if n == chunk.name {
				return nil
			}
			return c
		}), "is not the list that belongs there"},
		"its end missing": {retold(t, sound, func(n string, c []byte) []byte {
			if n == endName {
				return nil
			}
			return c
		}), "is cut off"},
		"a list missing": {retold(t, sound, func(n string, c []byte) []byte {
			if strings.HasPrefix(n, sumsName) {
				return nil
			}
			return c
		}), "a list is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := filepath.Join(t.TempDir(), "backup")
			write(t, from, string(tc.content))
			dir := filepath.Join(t.TempDir(), "data")
			_, err := Restore(t.Context(), from, dir)
			if tc.want == "" && err != nil {
				t.Errorf("got %v", err)
			} else if tc.want != "" {
				sentence(t, err, tc.want)
			}
			if left, _ := os.ReadDir(filepath.Dir(dir)); tc.want != "" && len(left) > 0 {
				t.Errorf("%s was left behind", left[0].Name())
			}
		})
	}
}

// Lists come every so many parts, so that neither side keeps more in memory.
func TestManyParts(t *testing.T) {
	t.Parallel()
	all := []file{{name: headName, content: []byte(`{"format":"bloom-backup","version":1,"layout":1,"objects":true}`)}}
	for range 2*listLength + 7 {
		all = append(all, file{name: filesFolder + "/" + uuid.NewString(), content: []byte("x")})
	}
	a, err := openReader(bytes.NewReader(parts(t, all...)))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	for {
		_, _, err := a.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if a.listed != 3 || a.parts != len(all) {
		t.Errorf("%d lists, %d parts", a.listed, a.parts)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	from, _ := makeBackup(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	write(t, filepath.Join(dir, "holiday.jpg"), "")
	_, err := Restore(t.Context(), from, dir)
	sentence(t, err, "is not empty (holiday.jpg)", dir)
	_, err = Restore(t.Context(), from, filepath.Join(dir, "holiday.jpg"))
	sentence(t, err, "a file stands in its place")
	_, err = Restore(t.Context(), filepath.Join(parent, "nope"), filepath.Join(parent, "new"))
	sentence(t, err, "cannot be read: no such file")
	_, err = Restore(t.Context(), parent, filepath.Join(parent, "new"))
	sentence(t, err, parent, "it is no file")
	_, err = Restore(t.Context(), from, "/proc/bloom/data")
	sentence(t, err, "/proc/bloom", "cannot be")
	_, err = Restore(t.Context(), from, "/dev/shm")
	if info, serr := os.Stat("/dev/shm"); serr == nil && info.IsDir() && isEmpty("/dev/shm") {
		sentence(t, err, "a disk is mounted")
	}
	other, err := datadir.Lock(filepath.Join(parent, ".new.restoring"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Restore(t.Context(), from, filepath.Join(parent, "new"))
	sentence(t, err, "another restore into", "is under way")
	_ = other.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Restore(ctx, from, filepath.Join(parent, "new"))
	sentence(t, err, "broken off")
	if _, err := Restore(t.Context(), from, filepath.Join(parent, "new")); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

func TestMakeRefuses(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	_, err := Make(t.Context(), dir, filepath.Join(parent, "b"))
	sentence(t, err, "there is no data of this program", dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
	makeData(t, dir)
	_, err = Make(t.Context(), dir, parent)
	sentence(t, err, parent, "is no file that a backup could replace")
	_, err = Make(t.Context(), dir, filepath.Join(parent, "nope", "b"))
	sentence(t, err, "cannot be written: no such file")
	other, err := lockedFile(filepath.Join(parent, "b.partial"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Make(t.Context(), dir, filepath.Join(parent, "b"))
	sentence(t, err, "another backup is being written")
	_ = other.Close()
	write(t, filepath.Join(parent, "b"), "the one before")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Make(ctx, dir, filepath.Join(parent, "b"))
	sentence(t, err, "broken off", "as it was before")
	if got, _ := os.ReadFile(filepath.Join(parent, "b")); string(got) != "the one before" {
		t.Errorf("the file is %q", got)
	}
	if _, err := os.Stat(filepath.Join(parent, "b.partial")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the half is there: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, filesFolder, anyName(t, filepath.Join(dir, filesFolder)))); err != nil {
		t.Fatal(err)
	}
	_, err = Make(t.Context(), dir, filepath.Join(parent, "b"))
	sentence(t, err, "the object's bytes in", "cannot be read")
}

func anyName(t testing.TB, dir string) string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all[0].Name()
}

// The archive is one that other programs read: tar, and lists as sha256sum writes them.
func TestLists(t *testing.T) {
	t.Parallel()
	from, _ := makeBackup(t)
	whole, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	sums, listed := map[string]string{}, ""
	retold(t, whole, func(name string, content []byte) []byte {
		if strings.HasPrefix(name, sumsName) {
			listed += string(content)
		} else if name != endName {
			sum := sha256.Sum256(content)
			sums[name] = hex.EncodeToString(sum[:])
		}
		return content
	})
	for line := range strings.Lines(listed) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if sums[name] != sum {
			t.Errorf("%s is %s, the list says %s", name, sums[name], sum)
		}
		delete(sums, name)
	}
	if len(sums) > 0 {
		t.Errorf("not in the list: %v", sums)
	}
}
