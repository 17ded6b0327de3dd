package backup

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// Beside the stores a data folder has small files, in itself or one folder down: secrets, credentials, keys, the CA and its
// certificates, how far each reader of a stream has come. All of them belong into a backup, those too that a later version
// adds. What does not is the logs, and what a process makes for its own time: the lock, the socket, files with a dot.

// smallName is what the name of a small file looks like.
var smallName = regexp.MustCompile(`^([\w-][\w.-]*/)?[\w-][\w.-]*$`)

// notSmall are names that stand for something else, and folders of what is something else.
var notSmall = []string{
	datadir.LockFile, datadir.LayoutFile, socketName, "logs", tableFolder, indexFolder, filesFolder, headName, endName,
}

func isSmallFile(name string) bool {
	root, _, _ := strings.Cut(name, "/")
	return smallName.MatchString(name) && !slices.Contains(notSmall, name) && !slices.Contains(notSmall, root) && !strings.HasPrefix(name, sumsName)
}

type file struct {
	name    string // with slashes, in the data folder
	mode    fs.FileMode
	content []byte
}

// readSmallFiles reads them whole: each is replaced by renaming, so that what is read is one version.
func readSmallFiles(dir string) ([]file, error) {
	var all []file
	for _, pattern := range []string{"*", "*/*"} {
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if !isSmallFile(name) {
				continue
			}
			path := filepath.Join(dir, filepath.FromSlash(name))
			info, err := os.Lstat(path)
			if err != nil {
				return nil, fmt.Errorf("%s cannot be read: %w", path, cause(err))
			}
			if !info.Mode().IsRegular() {
				continue
			}
			f, err := readSmallFile(path)
			if err != nil {
				return nil, err
			}
			f.name = name
			all = append(all, f)
		}
	}
	return all, nil
}

func readSmallFile(path string) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		return file{}, fmt.Errorf("%s cannot be read: %w", path, cause(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return file{}, fmt.Errorf("%s cannot be read: %w", path, cause(err))
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err != nil {
		return file{}, fmt.Errorf("%s cannot be read: %w", path, cause(err))
	}
	if len(content) > maxSmallFile {
		return file{}, fmt.Errorf("%s is larger than %d bytes, which no file there gets by itself", path, maxSmallFile)
	}
	return file{mode: info.Mode().Perm(), content: content}, nil
}
