package process

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAChildEndsWithItsTest(t *testing.T) {
	var p *Process
	t.Run("a test that starts a child", func(t *testing.T) {
		p = Start(t, exec.Command("sleep", "1000"))
		s := httptest.NewServer(http.NotFoundHandler())
		defer s.Close()
		ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer ready.Close()
		p.WaitReady(t, ready.URL, time.Minute)
		if err := ask(t.Context(), s.URL); err == nil {
			t.Error("a server that answers 404 counts as ready")
		}
	})
	select {
	case <-p.done:
	default:
		t.Error("the child is still there")
	}
	if _, err := os.Stat(p.log); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is still there: %v", err)
	}
}

func TestRunTellsWhatWentWrong(t *testing.T) {
	out, err := Run(exec.Command("sh", "-c", "echo first; printf '\\033[0m[ERROR] the reason\\n'; echo last; exit 3"))
	if err == nil || err.Error() != "exit status 3: the reason" || !strings.Contains(out, "first") {
		t.Errorf("Run = %q, %v", out, err)
	}
	if _, err := Run(exec.Command("sh", "-c", "echo first; echo last; exit 3")); err == nil || err.Error() != "exit status 3: last" {
		t.Errorf("Run: %v", err)
	}
	if out, err := Run(exec.Command("echo", "fine")); err != nil || out != "fine\n" {
		t.Errorf("Run = %q, %v", out, err)
	}
}

func TestCachedKeepsOnlyWhatIsComplete(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	fault := errors.New("the network went away")
	write := func(dir string) error { return os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600) }
	if _, err := Cached("thing", func(dir string) error { return errors.Join(write(dir), fault) }); !errors.Is(err, fault) {
		t.Fatalf("Cached: %v", err)
	}
	dir, err := Cached("thing", write)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Cached("thing", func(string) error { return fault })
	if err != nil || again != dir {
		t.Errorf("Cached = %s, %v", again, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "fetch-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
