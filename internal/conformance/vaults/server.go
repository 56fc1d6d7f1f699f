//go:build unix

package vaults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = time.Minute
	endTimeout   = 10 * time.Second
	pollInterval = 5 * time.Millisecond
)

// A server is the process of a database that tests kill and start again. It is
// not safe for concurrent use.
type server struct {
	name  string
	dir   string // for everything it writes; owned by the user that it runs as
	args  []string
	quit  syscall.Signal // that ends it in order
	ready func(context.Context) error
	owner *syscall.Credential // nil for the user of the test
	cmd   *exec.Cmd
	done  chan struct{}
	err   error
	log   *os.File
}

// newServer makes a folder with a short path, since those of unix sockets are
// bounded, and gives it to the user that the server will run as.
func newServer(t testing.TB, name, asRoot string) *server {
	t.Helper()
	if err := adoptOrphans(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "fieldveil-"+name+"-") //nolint:usetesting // the folders of t.TempDir are closed to other users, and deep
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("%s: its folder stays behind: %v", name, err)
		}
	})
	s := &server{name: name, dir: dir}
	if os.Getuid() == 0 {
		if s.owner, err = credential(asRoot); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	// Those who connect need to reach the socket.
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t) })
	return s
}

// credential finds a user without rights for a server that refuses root's.
func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// command prepares a program to run as the server's user in its folder.
func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = childAttributes(s.owner)
	return cmd
}

// start runs the server and waits until it answers.
func (s *server) start(t testing.TB) {
	t.Helper()
	if err := s.run(t.Context()); err != nil {
		t.Fatalf("%s does not start: %v\n%s", s.name, err, s.logTail())
	}
}

func (s *server) run(ctx context.Context) error {
	s.cmd = s.command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.done = make(chan struct{})
	started := make(chan error)
	// The thread that forks stays until the child is gone: with it, Linux would
	// end the child.
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			close(s.done)
		}
	}()
	if err := <-started; err != nil {
		s.cmd = nil
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("it has ended: %w", s.err)
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", err)
		case <-tick.C:
		}
	}
}

// kill ends the server and the processes it has started, all at once, as a crash
// does.
func (s *server) kill(t testing.TB) {
	t.Helper()
	if s.ended() {
		t.Fatalf("%s ended by itself: %v\n%s", s.name, s.err, s.logTail())
	}
	pid := s.cmd.Process.Pid
	// Stopped, it starts no further ones.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatalf("stop %s: %v", s.name, err)
	}
	children := childrenOf(pid)
	for _, id := range append(children, pid) {
		if err := syscall.Kill(id, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("kill %s: %v", s.name, err)
		}
	}
	<-s.done
	for _, child := range children {
		if !gone(child) {
			t.Errorf("%s: a process that it started is still there", s.name)
		}
	}
	s.cmd = nil
}

// end stops the server at the end of a test. It is asked to go first, since what
// is killed leaves shared memory behind that only its next start removes.
func (s *server) end(t testing.TB) {
	t.Helper()
	if s.ended() {
		return
	}
	if err := s.cmd.Process.Signal(s.quit); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("end %s: %v", s.name, err)
	}
	late := time.NewTimer(endTimeout)
	defer late.Stop()
	select {
	case <-s.done:
		s.cmd = nil
	case <-late.C:
		t.Errorf("%s does not end", s.name)
		s.kill(t)
	}
}

// ended tells whether there is no process. Its number may be another's then.
func (s *server) ended() bool {
	if s.cmd == nil {
		return true
	}
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// gone waits until a killed process, a child of a killed child, has ended.
func gone(pid int) bool {
	late := time.NewTimer(endTimeout)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if reap(pid) {
			return true
		}
		select {
		case <-late.C:
			return false
		case <-tick.C:
		}
	}
}

func (s *server) logTail() string {
	const most = 40
	if _, err := s.log.Seek(0, io.SeekStart); err != nil {
		return err.Error()
	}
	log, err := io.ReadAll(s.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.SplitAfter(bytes.TrimSpace(log), []byte("\n"))
	return "the end of its log:\n" + string(bytes.Join(lines[max(0, len(lines)-most):], nil))
}
