//go:build !unix

package shred

import (
	"context"
	"errors"
	"os"
)

var errNoLocks = errors.New("shred: a ledger file is locked as Unix does it: on this operating system keep the ledger in a database")

func lockFile(context.Context, *os.File) (func() error, error) { return nil, errNoLocks }
