package boltvault

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// smallDisk mounts a file system of 512 KiB, for which it takes root.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("no small disk can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskLosesNothingAndServesAgain(t *testing.T) {
	dir := smallDisk(t)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 128<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "vault")
	s := openAt(t, path)
	var h vaulttest.History
	n, fails := 0, 0
	fill := func() {
		t.Helper()
		for failed := 0; failed < 5; n++ {
			r := row(n)
			r.Sealed = make([]byte, 300)
			out, err := s.Insert(t.Context(), []tokenize.Row{r})
			switch {
			case err == nil:
				h.Add(out[0].Row)
			case !errors.Is(err, syscall.ENOSPC) || out != nil:
				t.Fatalf("row %d: %v", n, err)
			default:
				failed++
				fails++
			}
			if n > 5000 {
				t.Fatal("the disk never fills")
			}
		}
	}
	fill()
	standing := h.Len()
	if err := h.Check(t.Context(), s); err != nil || standing == 0 {
		t.Fatalf("on the full disk, with %d rows: %v", standing, err)
	}
	if got := sound(t, s, "s"); got != standing {
		t.Errorf("%d rows stand, %d were handed out", got, standing)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	fill()
	if h.Len() <= standing {
		t.Error("it does not serve again when there is space")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	if err := h.Check(t.Context(), again); err != nil {
		t.Error(err)
	}
	if got := sound(t, again, "s"); got != h.Len() {
		t.Errorf("%d rows stand, %d were handed out", got, h.Len())
	}
	t.Logf("%d rows, then %d with more space; %d inserts failed", standing, h.Len()-standing, fails)
}
