package auth

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// PeerOf returns who is at the other end of a Unix socket, as the system says.
func PeerOf(c *net.UnixConn) (*PeerCred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var (
		cred   *unix.Ucred
		failed error
	)
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return &PeerCred{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}
