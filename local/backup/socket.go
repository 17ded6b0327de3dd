package backup

import (
	"os"
	"path/filepath"
)

const (
	// socketName is the socket in the data folder on which a running stack answers.
	socketName = "control"
	// longestPath is what an address of a unix socket holds on every system, in bytes: sun_path has 104 on some, 108 on Linux.
	// https://man7.org/linux/man-pages/man7/unix.7.html
	longestPath = 100
)

// withShortPath calls use with a path to name in dir that fits into an address: its own, or one through a link to dir.
func withShortPath(dir, name string, use func(path string) error) error {
	path := filepath.Join(dir, name)
	if len(path) <= longestPath {
		return use(path)
	}
	tmp, err := os.MkdirTemp(shortTemp(), "bloom-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // a leftover harms nobody
	link := filepath.Join(tmp, "d")
	if err := os.Symlink(dir, link); err != nil {
		return err
	}
	return use(filepath.Join(link, name))
}

// shortTemp is the folder for temporary files, unless its own path is long.
func shortTemp() string {
	if dir := os.TempDir(); len(dir) < longestPath/2 {
		return dir
	}
	return "/tmp"
}
