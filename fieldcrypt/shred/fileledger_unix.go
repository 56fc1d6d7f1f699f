//go:build unix

package shred

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockWait is after how long a lock is tried again.
const lockWait = time.Millisecond

// lockFile takes the lock of a file that other processes have open too. It ends
// with the process, however that ends.
func lockFile(ctx context.Context, f *os.File) (unlock func() error, err error) {
	how := func(how int) error {
		conn, err := f.SyscallConn()
		if err != nil {
			return err
		}
		var failed error
		err = conn.Control(func(fd uintptr) { failed = syscall.Flock(int(fd), how) })
		return errors.Join(err, failed)
	}
	tick := time.NewTicker(lockWait)
	defer tick.Stop()
	for {
		err := how(syscall.LOCK_EX | syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() error { return how(syscall.LOCK_UN) }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return nil, fmt.Errorf("shred: lock the ledger: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("shred: lock the ledger: %w", ctx.Err())
		}
	}
}
