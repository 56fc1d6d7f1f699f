//go:build !linux

package auth

import (
	"errors"
	"fmt"
	"net"
)

// PeerOf returns who is at the other end of a Unix socket, as the system says.
func PeerOf(*net.UnixConn) (*PeerCred, error) {
	return nil, fmt.Errorf("auth: peers of Unix sockets: %w", errors.ErrUnsupported)
}
