package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A disk that is full ends the start with one sentence. The disk is a small tmpfs in a mount namespace of the child's own;
// where this user may make none, a limit on the size of files stands for it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, size := range []string{"16k", "1m"} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			disk := t.TempDir()
			cmd, want := onSmallDisk(t, disk, size)
			fails(t, cmd, want)
		})
	}
}

// onSmallDisk is the program over a disk of that size, and what it will say.
func onSmallDisk(t *testing.T, disk, size string) (cmd *exec.Cmd, want string) {
	t.Helper()
	cmd = command(t.Context(), nil, "-data", filepath.Join(disk, "data"))
	program := cmd.Args
	const mount = `mount -t tmpfs -o size="$1" tmpfs "$0" && shift && exec "$@"`
	shell := func(script string) *exec.Cmd {
		sh := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, disk, size}, program...)...)
		sh.Env = cmd.Env
		return sh
	}
	try := shell(`mount -t tmpfs -o size="$1" tmpfs "$0"`)
	isolate(try)
	if try.Run() == nil {
		cmd = shell(mount)
		isolate(cmd)
		return cmd, "is full"
	}
	return shell(`shift; ulimit -f 1; exec "$@"`), "file too large"
}

// isolate gives the command a mount namespace, and a user namespace in which it may mount.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}
