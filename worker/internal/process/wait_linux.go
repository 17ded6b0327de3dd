package process

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts the command in a process group of its own, and lets the
// kernel kill it when the worker dies without a chance to do so.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// wait waits for the command to exit, calls exited, then reaps it and waits
// for its pipes. Until it is reaped its process id, and with it the id of its
// group, can't be given to another process: exited may signal the group.
func wait(cmd *exec.Cmd, exited func()) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	exited()
	_ = cmd.Wait() // the state says all; ErrWaitDelay only that a pipe was cut off
}
