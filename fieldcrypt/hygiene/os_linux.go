package hygiene

import (
	"fmt"
	"syscall"
)

// undumpable clears the mark that lets others of the same user look into the
// process. It belongs to the address space, so one thread acts for all, and lasts
// until the process executes another program.
func undumpable() error {
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 {
		return fmt.Errorf("prctl: %w", errno)
	}
	return nil
}
