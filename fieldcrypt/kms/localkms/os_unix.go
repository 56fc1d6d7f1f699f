//go:build unix

package localkms

import (
	"errors"
	"io/fs"
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

// keepOwner gives f the owner of an older file. Without it, a rotation by root
// would lock out the service that the file belongs to.
func keepOwner(f *os.File, old fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	from, ok1 := old.Sys().(*syscall.Stat_t)
	to, ok2 := now.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || from.Uid == to.Uid && from.Gid == to.Gid {
		return nil
	}
	return f.Chown(int(from.Uid), int(from.Gid))
}
