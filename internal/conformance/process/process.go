// Package process runs other people's servers for tests.
//
// A child that was started here does not outlive the test binary: its owner ends
// it by its process id, and on Linux the kernel does when nobody is left to.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Process is a child that has been started and is being waited for.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the child has ended and was reaped
	err  error         // what Wait said; read it after done is closed
}

// Start runs cmd until the test is over, in a folder of its own that is gone
// afterwards. Output goes to a log there.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	// The folder goes last: cleanups run in reverse.
	cmd.Dir = t.TempDir()
	path := filepath.Join(cmd.Dir, "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatalf("process: %v", err)
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	p := &Process{cmd: cmd, log: path, done: make(chan struct{})}
	if err := p.start(); err != nil {
		t.Fatalf("process: start %s: %v", filepath.Base(cmd.Path), err)
	}
	t.Cleanup(func() { p.end(t) })
	return p
}

// start forks on a thread that stays locked until the child is gone, because
// Linux sends the parent-death signal when that thread ends.
func (p *Process) start() error {
	dieWithParent(p.cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	return <-started
}

// end kills the child. It holds nothing that is worth an orderly end.
func (p *Process) end(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
		t.Errorf("process: %s ended by itself: %v\n%s", filepath.Base(p.cmd.Path), p.err, p.LogTail())
		return
	default:
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("process: end %s: %v", filepath.Base(p.cmd.Path), err)
		return
	}
	<-p.done
}

// Run runs cmd to its end and returns what it has printed. When it fails, the
// error has the last line of that.
func Run(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe
	p := &Process{cmd: cmd, done: make(chan struct{})}
	if err := p.start(); err != nil {
		return "", err
	}
	<-p.done
	if p.err != nil {
		// Maven resets colours that it has not set.
		lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(out.String(), "\x1b[0m", "")), "\n")
		last := lines[len(lines)-1]
		for _, line := range lines {
			if text, ok := strings.CutPrefix(line, "[ERROR] "); ok { // Maven says it once and then where to read
				last = text
				break
			}
		}
		return out.String(), fmt.Errorf("%w: %s", p.err, last)
	}
	return out.String(), nil
}

// WaitReady asks url until it answers 200, and fails the test when the child
// ends or does not get there in time.
func (p *Process) WaitReady(t testing.TB, url string, most time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx, url)
		if err == nil {
			return
		}
		select {
		case <-p.done:
			t.Fatalf("process: %s does not start: %v\n%s", filepath.Base(p.cmd.Path), p.err, p.LogTail())
		case <-ctx.Done():
			t.Fatalf("process: %s is not ready after %v: %v\n%s", filepath.Base(p.cmd.Path), most, err, p.LogTail())
		case <-tick.C:
		}
	}
}

func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// LogTail returns the last lines of the child's output.
func (p *Process) LogTail() string {
	const most = 60
	log, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	lines := bytes.SplitAfter(bytes.TrimSpace(log), []byte("\n"))
	return "the end of its log:\n" + string(bytes.Join(lines[max(0, len(lines)-most):], nil))
}

// FreeAddr returns a loopback address that nobody listens on, from below the
// range that systems give to outgoing connections.
func FreeAddr(t testing.TB) string {
	t.Helper()
	var last error
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(17000)))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			last = err
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("process: %v", err)
		}
		return addr
	}
	t.Fatalf("process: no free port: %v", last)
	return ""
}

// Cached returns the folder of that name in the user's cache, which fill makes
// the first time. The folder appears by a rename, so one that exists is
// complete, whatever became of the run that made it.
func Cached(name string, fill func(dir string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for downloads: %w", err)
	}
	cache = filepath.Join(cache, "fieldveil")
	final := filepath.Join(cache, name)
	if isDir(final) {
		return final, nil
	}
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", fmt.Errorf("no folder for downloads: %w", err)
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("no folder for downloads: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // what stays behind is in a cache, under a name that nothing reads
	made := filepath.Join(work, "made")
	if err := os.Mkdir(made, 0o750); err != nil {
		return "", fmt.Errorf("no folder for downloads: %w", err)
	}
	if err := fill(made); err != nil {
		return "", err
	}
	if err := os.Rename(made, final); err != nil && !isDir(final) {
		return "", fmt.Errorf("keep the download: %w", err)
	}
	return final, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Missing skips the test because an engine cannot be had, or fails it when the
// environment asks for that engine with the variable require.
func Missing(t testing.TB, engine, require string, err error) {
	t.Helper()
	if os.Getenv(require) == "1" {
		t.Fatalf("no %s, and %s=1 asks for it: %v", engine, require, err)
	}
	t.Skipf("skipped: no %s: %v", engine, err)
}
