//go:build unix

package hygiene

import (
	"fmt"
	"syscall"
)

// noCoreDumps lowers the hard limit as well: what could be raised again would be,
// by whatever wants to be helpful.
func noCoreDumps() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("setrlimit: %w", err)
	}
	return nil
}
