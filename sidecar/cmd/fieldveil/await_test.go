//go:build unix

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAwaitRunsItsCommandOnceTheSidecarIsReady(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "await", "--url", s.URL, "--timeout", "0s", "--", "sh", "-c", "echo ran; exit 7")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 7 || string(out) != "ran\n" {
		t.Errorf("%v\n%s", err, out)
	}
	if asked.Load() < 3 {
		t.Error("it did not wait")
	}
}

func TestAwaitSaysWhyItDoesNotRun(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer s.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"not ready", []string{"--url", s.URL, "--timeout", "1ms"}, 1, "not ready after 1ms"},
		{"nobody there", []string{"--url", gone.URL, "--timeout", "1ms"}, 1, "not ready after 1ms"},
		{"no URL", []string{"--url", "readyz"}, 1, "expected http://"},
		{"no such command", []string{"--url", s.URL, "--", "no-such-command-anywhere"}, 1, "no-such-command-anywhere"},
		{"no duration", []string{"--timeout", "soon"}, 2, "--timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := fieldveil(t, append([]string{"await"}, tt.args...)...)
			if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("%d %s %s", code, stdout, stderr)
			}
		})
	}
}

func TestAwaitWithoutACommandOnlyWaits(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	if code, _, stderr := fieldveil(t, "await", "--url", s.URL); code != 0 {
		t.Error(stderr)
	}
}
