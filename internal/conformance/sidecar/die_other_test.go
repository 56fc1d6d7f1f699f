//go:build unix && !linux

package sidecar

import "os/exec"

// dieWithParent does nothing here: a test binary that is killed leaves its
// children running.
func dieWithParent(*exec.Cmd) {}
