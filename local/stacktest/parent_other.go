//go:build !linux

package stacktest

import "syscall"

func withParent() *syscall.SysProcAttr { return nil }
