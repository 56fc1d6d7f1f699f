//go:build !unix

package tagmemory

import (
	"context"
	"errors"
)

var errNoLocks = errors.New("tagmemory: file locks are not implemented for this operating system")

func lock(context.Context, string) (func() error, error) { return nil, errNoLocks }
