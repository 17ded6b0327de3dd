//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// attributes puts the command in a process group of its own. Only Linux can
// also end it when the worker is killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// wait waits for the command, then calls exited. Without waitid's WNOWAIT the
// leader is reaped first: its group lives on only while it has members, so
// exited signals either them or nobody.
func wait(cmd *exec.Cmd, exited func()) {
	_ = cmd.Wait()
	exited()
}
