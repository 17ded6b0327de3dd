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

// A disk that gets full under a backup or a restore is one sentence, and nothing is left of either.
func TestBackupFillsDisk(t *testing.T) {
	t.Parallel()
	data := stopped(t, t.TempDir(), 3)
	file := filepath.Join(t.TempDir(), "backup")
	if out, err := subcommandOf(t.Context(), "backup", "-data", data, "-to", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for size, args := range map[string]func(disk string) []string{
		"4m": func(disk string) []string { return []string{"backup", "-data", data, "-to", filepath.Join(disk, "b")} },
		"36m": func(disk string) []string {
			return []string{"restore", "-from", file, "-data", filepath.Join(disk, "d")}
		},
	} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			disk := t.TempDir()
			cmd := subcommandOf(t.Context(), args(disk)...)
			// What is left on the disk would be a second line: only the child sees that disk.
			cmd.Args = append([]string{"sh", "-c", `"$@"; status=$?; ls -A "$0" >&2; exit $status`, disk}, cmd.Args...)
			cmd, want := limited(t, disk, size, cmd)
			fails(t, cmd, want)
		})
	}
}

// onSmallDisk is the program over a disk of that size, and what it will say.
func onSmallDisk(t *testing.T, disk, size string) (cmd *exec.Cmd, want string) {
	t.Helper()
	return limited(t, disk, size, command(t.Context(), nil, "-data", filepath.Join(disk, "data")))
}

// limited runs the command with a small disk mounted.
func limited(t *testing.T, disk, size string, cmd *exec.Cmd) (_ *exec.Cmd, want string) {
	t.Helper()
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
