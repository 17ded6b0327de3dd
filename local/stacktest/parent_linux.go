package stacktest

import "syscall"

// withParent makes the kernel kill the program when the test process dies, so
// that a test that times out leaves nothing running.
func withParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
