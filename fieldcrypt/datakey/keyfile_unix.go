//go:build unix

package datakey

import (
	"io"
	"os"
	"syscall"
)

// lockFile takes the lock of a file, and does not wait for it. It ends with the
// process, however that ends. The file itself stays: removing it would give two
// holders a lock each.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, keyFileMode)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, errKeyFileLock
	}
	return f, nil
}
