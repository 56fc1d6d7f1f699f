//go:build unix

package main

import (
	"os"
	"syscall"
)

// become replaces this program by another one, which so gets the signals and the
// exit code of its own.
func become(_ *terminal, path string, args []string) error {
	return syscall.Exec(path, args, os.Environ()) //nolint:gosec // to run what the caller names is the command
}
