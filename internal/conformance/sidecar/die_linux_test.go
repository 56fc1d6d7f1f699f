package sidecar

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child of cmd when its parent is gone.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
