package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A PeerCred is the process at the other end of a Unix socket.
type PeerCred struct {
	PID      int32
	UID, GID uint32
}

// A PeerAddr is the remote address of connections that a listener of
// [Auth.Listen] accepts on a Unix socket: it says who is there.
type PeerAddr struct {
	PeerCred

	addr net.Addr
}

// Network returns "unix".
func (a *PeerAddr) Network() string { return a.addr.Network() }

// String returns the user id.
func (a *PeerAddr) String() string { return fmt.Sprintf("%s%d", prefixUID, a.UID) }

const unixPrefix = "unix:"

var errOpen = errors.New("other hosts reach it")

// Listen listens on "host:port" or "unix:/path". It refuses an address that other
// hosts reach while callers need no credential, and one without TLS, unless the
// configuration allows that by name. The caller puts TLS on it, by
// [Auth.TLSConfig]; there is none on Unix sockets.
//
// A Unix socket has its mode before anybody can reach it. One that is there
// already and that nobody listens on is replaced. Closing the listener removes it.
func (a *Auth) Listen(ctx context.Context, addr string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		return a.listenUnix(ctx, path)
	}
	var d net.ListenConfig
	// What a name stands for is looked up once, so that what is checked is what is
	// listened on.
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("auth: listen on %s: %w", addr, err)
	}
	if !tcp.IP.IsLoopback() {
		switch {
		case !a.config.credentials() && !a.config.InsecureAllowAnonymous:
			return nil, fmt.Errorf("auth: listen on %s: %w: configure tokens, jwt or tls.client_ca, or listen on loopback", addr, errOpen)
		case a.config.TLS.Cert == "" && !a.config.InsecureAllowPlaintext:
			return nil, fmt.Errorf("auth: listen on %s: %w, without TLS: configure tls.cert, or listen on loopback", addr, errOpen)
		}
	}
	return d.Listen(ctx, "tcp", tcp.String())
}

// listenUnix binds the socket in a directory that only its owner can enter, and
// moves it from there once it has its mode.
func (a *Auth) listenUnix(ctx context.Context, path string) (net.Listener, error) {
	mode, err := a.config.Unix.mode()
	if err != nil {
		return nil, err
	}
	fail := func(err error) (net.Listener, error) {
		return nil, fmt.Errorf("auth: listen on %s%s: %w", unixPrefix, path, err)
	}
	if err := stale(ctx, path); err != nil {
		return fail(err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".fv")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var d net.ListenConfig
	bound := filepath.Join(dir, "s")
	l, err := d.Listen(ctx, "unix", bound)
	if err != nil {
		return fail(err)
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		return fail(errors.Join(errors.ErrUnsupported, l.Close()))
	}
	listener.SetUnlinkOnClose(false) // the name is another one
	err = os.Chmod(bound, mode)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(bound)
	}
	if err == nil {
		err = os.Rename(bound, path)
	}
	if err != nil {
		return fail(errors.Join(err, listener.Close()))
	}
	return &unixListener{UnixListener: listener, path: path, info: info}, nil
}

// stale returns nil when there is nothing at path, or a socket that nobody
// listens on.
func stale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("something else is there, which is no socket")
	}
	const limit = time.Second
	d := net.Dialer{Timeout: limit}
	c, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		return errors.Join(errors.New("another process listens on it"), c.Close())
	default:
		return fmt.Errorf("it cannot be said whether another process listens on it: %w", err)
	}
}

// A unixListener says who is at the other end of its connections.
type unixListener struct {
	*net.UnixListener

	path string
	info fs.FileInfo
	once sync.Once
}

// Accept returns connections whose RemoteAddr is a [*PeerAddr]. One whose end the
// system does not know is closed.
func (l *unixListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := PeerOf(c)
		if err != nil {
			_ = c.Close()
			if errors.Is(err, errors.ErrUnsupported) {
				return nil, err
			}
			continue
		}
		return &peerConn{UnixConn: c, addr: &PeerAddr{*peer, c.RemoteAddr()}}, nil
	}
}

// Addr returns the address under the name that the socket has now.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close removes the socket, unless another stands there by now.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

type peerConn struct {
	*net.UnixConn

	addr *PeerAddr
}

func (c *peerConn) RemoteAddr() net.Addr { return c.addr }

type peerKey struct{}

// ConnContext keeps who is at the other end of c, for [http.Server.ConnContext].
// [Middleware] needs it.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, c.RemoteAddr())
}
