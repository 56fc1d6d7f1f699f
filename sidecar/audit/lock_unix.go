//go:build unix

package audit

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of a file. It ends with the process, however that ends.
func lock(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			failed = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
			if !errors.Is(failed, syscall.EINTR) {
				return
			}
		}
	})
	if errors.Is(failed, syscall.EWOULDBLOCK) {
		failed = errLocked
	}
	return errors.Join(err, failed)
}
