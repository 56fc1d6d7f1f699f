//go:build !unix

package audit

import (
	"errors"
	"os"
)

var errNoLocks = errors.New("files are locked as Unix does it: on this operating system use to: stdout or to: kafka")

func lock(*os.File) error { return errNoLocks }
