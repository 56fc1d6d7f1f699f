//go:build !unix

package shred

import (
	"context"
	"errors"
	"os"
)

var errNoLocks = errors.New("shred: locks of a ledger file are not implemented for this operating system")

func lockFile(context.Context, *os.File) (func() error, error) { return nil, errNoLocks }
