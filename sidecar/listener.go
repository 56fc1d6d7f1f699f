package sidecar

import (
	"net"
	"net/netip"
	"sync"
)

// limited is a listener with at most so many open connections: further ones wait
// to be accepted, and those of an address that has its share are closed. Loopback
// and Unix sockets are one address for all local callers and have no share.
type limited struct {
	net.Listener

	room    chan struct{} // holds one element for each open connection
	done    chan struct{}
	end     func()
	perPeer int

	mu    sync.Mutex // guards peers
	peers map[netip.Addr]int
}

func limit(l net.Listener, total, perPeer int) *limited {
	done := make(chan struct{})
	return &limited{
		Listener: l, room: make(chan struct{}, total), done: done, end: sync.OnceFunc(func() { close(done) }),
		perPeer: perPeer, peers: map[netip.Addr]int{},
	}
}

// Accept returns the next connection that there is room for.
func (l *limited) Accept() (net.Conn, error) {
	for {
		select {
		case l.room <- struct{}{}:
		case <-l.done:
			return nil, net.ErrClosed
		}
		conn, err := l.Listener.Accept()
		if err != nil {
			<-l.room
			return nil, err
		}
		peer := peerOf(conn)
		if !l.take(peer) {
			_ = conn.Close()
			<-l.room
			continue
		}
		return &counted{Conn: conn, left: sync.OnceFunc(func() { l.leave(peer); <-l.room })}, nil
	}
}

// Close ends Accept, also one that waits for room.
func (l *limited) Close() error {
	l.end()
	return l.Listener.Close()
}

func (l *limited) take(peer netip.Addr) bool {
	if !peer.IsValid() || peer.IsLoopback() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peers[peer] >= l.perPeer {
		return false
	}
	l.peers[peer]++
	return true
}

func (l *limited) leave(peer netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peers[peer]--
	if l.peers[peer] <= 0 {
		delete(l.peers, peer)
	}
}

func peerOf(conn net.Conn) netip.Addr {
	addr, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap()
}

// counted makes room when it is closed.
type counted struct {
	net.Conn

	left func()
}

// Close closes the connection.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.left()
	return err
}

// NetConn returns the connection itself, for who asks it for the peer of a Unix
// socket.
func (c *counted) NetConn() net.Conn { return c.Conn }
