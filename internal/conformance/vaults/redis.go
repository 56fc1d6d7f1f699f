//go:build unix

package vaults

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

// A Redis is an empty Redis server that flushes each command to disk before it
// answers. It is not safe for concurrent use.
type Redis struct{ server *server }

// StartRedis runs a server until the test is over. settings are added to those
// that every server here has, and win over them, such as "--maxmemory", "32mb".
func StartRedis(t testing.TB, settings ...string) *Redis {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		process.Missing(t, "Redis", "FIELDVEIL_REQUIRE_REDIS", fmt.Errorf("its program is in the package redis-server of Debian: %w", err))
	}
	return startRedis(t, "redis", path, settings)
}

// startRedis runs a program that is a Redis, or what became of one.
func startRedis(t testing.TB, name, path string, settings []string) *Redis {
	t.Helper()
	s := newServer(t, name, "redis")
	r := &Redis{server: s}
	s.quit = syscall.SIGTERM
	s.args = []string{
		path, "--port", "0", "--unixsocket", r.Socket(), "--unixsocketperm", "777", "--dir", s.dir,
		"--daemonize", "no", "--appendonly", "yes", "--appendfsync", "always", "--save", "",
	}
	s.args = append(s.args, settings...)
	s.ready = func(ctx context.Context) error { return ping(ctx, r.Socket()) }
	s.start(t)
	return r
}

// Socket returns the path of the unix socket that the server listens on.
func (r *Redis) Socket() string { return filepath.Join(r.server.dir, "socket") }

// Kill ends the server at once, as a crash does.
func (r *Redis) Kill(t testing.TB) {
	t.Helper()
	r.server.kill(t)
}

// Restart runs the server again on the same data, and returns when it has read
// it and answers.
func (r *Redis) Restart(t testing.TB) {
	t.Helper()
	r.server.start(t)
}

// Log returns the end of the server's log.
func (r *Redis) Log() string { return r.server.logTail() }

// ping asks whether the server is there and has read its data.
func ping(ctx context.Context, socket string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if line != "+PONG\r\n" {
		return fmt.Errorf("it answers %q", line)
	}
	return nil
}
