//go:build unix

package tinkkms

import (
	"errors"
	"os"
	"syscall"
)

// hasModes tells whether a file's mode says who may read it.
const hasModes = true

// openToRead opens without waiting: a named pipe in place of a file would
// otherwise block for ever.
const openToRead = os.O_RDONLY | syscall.O_NONBLOCK

// isBadPath tells whether a path can never be opened, whatever exists.
func isBadPath(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENAMETOOLONG)
}
