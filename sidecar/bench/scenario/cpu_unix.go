//go:build unix

package scenario

import (
	"syscall"
	"time"
)

// processCPU returns the CPU time that this process has taken, 0 where that is not
// known.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
