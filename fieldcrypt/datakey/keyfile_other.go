//go:build !unix

package datakey

import "io"

// lockFile fails: without a lock two processes would take the same share.
func lockFile(string) (io.Closer, error) { return nil, errKeyFileLock }
