//go:build unix

package sidecar

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

// binary builds the program once for all tests.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		built.dir, built.err = os.MkdirTemp("", "fieldveil-conformance") //nolint:usetesting // all tests share it
		if built.err == nil {
			cmd := exec.Command("go", "build", "-o", filepath.Join(built.dir, "fieldveil"), "./cmd/fieldveil")
			cmd.Dir = filepath.Join("..", "..", "..", "sidecar")
			if out, err := cmd.CombinedOutput(); err != nil {
				built.err = fmt.Errorf("%w: %s", err, out)
			}
		}
	})
	if built.err != nil {
		t.Fatalf("build: %v", built.err)
	}
	return filepath.Join(built.dir, "fieldveil")
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // what is left there hurts nobody
	}
	os.Exit(code)
}

// A program is the sidecar, which can be ended and started again.
type program struct {
	dir               string
	rest, grpc, admin string
	log               string
	args              []string
	cmd               *exec.Cmd
	done              chan struct{}
	err               error // of Wait; read it after done
}

// A setup is what a test wants of a sidecar.
type setup struct {
	brokers string
	policy  string
	config  string // further lines of the configuration
	files   map[string]string
	args    []string
}

// newProgram writes configuration and policy, and starts nothing.
func newProgram(t testing.TB, s setup) *program {
	t.Helper()
	p := &program{dir: t.TempDir(), rest: process.FreeAddr(t), grpc: process.FreeAddr(t), admin: process.FreeAddr(t), args: s.args}
	p.log = filepath.Join(p.dir, "log")
	if out, err := exec.CommandContext(t.Context(), binary(t), "kek", "create", filepath.Join(p.dir, "pii.kek")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.write(t, "policy.yaml", s.policy)
	p.write(t, "config.yaml", fmt.Sprintf(`version: 1
policy: {path: policy.yaml}
kafka: {properties: {bootstrap.servers: %q}}
listen: {rest: %q, grpc: %q}
admin: {addr: %q}
telemetry: {log: {requests: errors}}
`, s.brokers, p.rest, p.grpc, p.admin)+s.config)
	for name, text := range s.files {
		p.write(t, name, text)
	}
	t.Cleanup(func() { p.kill(t) })
	return p
}

func (p *program) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the program and waits until it is ready.
func (p *program) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(binary(t), append([]string{"serve", "--config", "config.yaml"}, p.args...)...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, log, log
	dieWithParent(p.cmd)
	done := make(chan struct{})
	p.done = done
	started := make(chan error, 1)
	go func() {
		// The kernel ties the child to the thread that starts it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(time.Minute)
	for {
		res, err := web.Get("http://" + p.admin + "/readyz")
		if err == nil {
			_ = res.Body.Close() // only the status is asked for
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-done:
			t.Fatalf("the sidecar ended: %v\n%s", p.err, p.tail(t))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sidecar is not ready: %v\n%s", err, p.tail(t))
		}
	}
}

// kill ends the program at once, if it runs.
func (p *program) kill(t testing.TB) {
	t.Helper()
	if p.done == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	<-p.done
}

// end asks the program to end, and returns how it did and how long that took.
func (p *program) end(t testing.TB, most time.Duration) (took time.Duration, err error) {
	t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
		return time.Since(began), p.err
	case <-time.After(most):
		t.Fatalf("the sidecar has not ended after %v\n%s", most, p.tail(t))
		return 0, nil
	}
}

// tail returns the end of the log.
func (p *program) tail(t testing.TB) string {
	t.Helper()
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(log), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "")
}
