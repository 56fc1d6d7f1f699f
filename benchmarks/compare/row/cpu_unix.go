//go:build unix

package row

import (
	"syscall"
	"time"
)

// cpuTime returns the CPU time that this process has taken so far, on all its
// threads. Zero stands for unknown.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
