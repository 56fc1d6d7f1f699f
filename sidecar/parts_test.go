package sidecar

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheMemoryOfTheCgroupIsFound(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for _, tt := range []struct {
		name string
		fs   fstest.MapFS
		want int64
	}{
		{"nothing", fstest.MapFS{}, 0},
		{"version 2", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("1048576\n")}, 1 << 20},
		{"version 2, above", fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.max": file("4096\n"),
		}, 4096},
		{"version 2, the least", fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("8192\n"), "sys/fs/cgroup/a/memory.max": file("4096\n"),
		}, 4096},
		{"version 2, a namespace", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("4096\n")}, 4096},
		{"version 2, a path of the host", fstest.MapFS{"proc/self/cgroup": file("0::/kubepods/pod1\n"), "sys/fs/cgroup/memory.max": file("4096\n")}, 4096},
		{"version 2, none", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("max\n")}, 0},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup": file("5:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/\n"), "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": file("2097152\n"),
		}, 2 << 20},
		{"version 1, none", fstest.MapFS{"proc/self/cgroup": file("4:memory:/\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n")}, 0},
		{"nonsense", fstest.MapFS{"proc/self/cgroup": file("x\n:\n0::/../..\n"), "sys/fs/cgroup/memory.max": file("-5\n")}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := MemoryOfCgroup(tt.fs)
			if got != tt.want || ok != (tt.want > 0) {
				t.Errorf("%d, %t, want %d", got, ok, tt.want)
			}
		})
	}
}

// fakeConn is a connection from somewhere.
type fakeConn struct {
	net.Conn

	from   net.Addr
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.from }
func (c *fakeConn) Close() error         { c.closed = true; return nil }

// fakeListener has some connections, then an error.
type fakeListener struct{ conns []net.Conn }

func (l *fakeListener) Accept() (net.Conn, error) {
	if len(l.conns) == 0 {
		return nil, errors.New("no more")
	}
	next := l.conns[0]
	l.conns = l.conns[1:]
	return next, nil
}
func (l *fakeListener) Close() error   { return nil }
func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

func from(ip string) *fakeConn {
	return &fakeConn{from: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
}

func TestAnAddressHasAShareOfTheConnections(t *testing.T) {
	third := from("10.0.0.1")
	l := limit(&fakeListener{[]net.Conn{
		from("10.0.0.1"), from("::ffff:10.0.0.1"), third, from("10.0.0.2"), from("127.0.0.1"), from("127.0.0.1"), from("127.0.0.1"),
	}}, 100, 2)
	var got []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		got = append(got, c)
	}
	if len(got) != 6 || !third.closed {
		t.Errorf("%d connections, the third closed: %t", len(got), third.closed)
	}
	for _, c := range got {
		c.Close()
		c.Close() // once more makes no more room
	}
	if len(l.room) != 0 || len(l.peers) != 0 {
		t.Errorf("%d, %v are counted and gone", len(l.room), l.peers)
	}
}

func TestConnectionsWaitForRoom(t *testing.T) {
	l := limit(&fakeListener{[]net.Conn{from("127.0.0.1"), from("127.0.0.1")}}, 1, 1)
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() { _, err := l.Accept(); second <- err }()
	select {
	case err := <-second:
		t.Error("accepted without room:", err)
	default:
	}
	first.Close()
	if err := <-second; err != nil {
		t.Error(err)
	}
	// Nobody makes room any more; the end of the listener ends the wait.
	third := make(chan error)
	go func() { _, err := l.Accept(); third <- err }()
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-third; !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "no more") {
		t.Error(err)
	}
}

func TestDirectoriesOfLinksAreWatchedToo(t *testing.T) {
	if got := directories([]string{"/a/b", "/a/c", "d"}); len(got) != 2 || got[0] != "." || got[1] != "/a" {
		t.Error(got)
	}
}
