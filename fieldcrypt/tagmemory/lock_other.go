//go:build !unix

package tagmemory

import (
	"context"
	"errors"
)

var errNoLocks = errors.New("tagmemory: the file is locked as Unix does it, which this operating system does not do")

func lock(context.Context, string) (func() error, error) { return nil, errNoLocks }
