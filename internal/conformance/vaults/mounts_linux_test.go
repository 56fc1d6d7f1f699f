package vaults

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const mountsEnv = "FIELDVEIL_VAULT_TEST_MOUNTS"

// inOwnMounts runs the test again in a child that sees mounts of its own, which
// are gone with it, and returns true in the child. It skips the test where that
// is not allowed.
func inOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(mountsEnv) != "" {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatalf("keep the mounts to this process: %v", err)
		}
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("skipped: mounting a small disk needs root")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), mountsEnv+"=1")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the child ends with the thread that forks
	defer runtime.UnlockOSThread()
	switch err := cmd.Run(); {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("skipped: mounting a small disk is not allowed here: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "--- SKIP"):
			t.Skip("skipped: " + out.String())
		case strings.Contains(line, "_test.go:"):
			t.Log(line)
		}
	}
	return false
}

// smallDisk mounts a disk of so many bytes.
func smallDisk(t *testing.T, owner *syscall.Credential, size int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	if owner != nil { // whoever it is must get there
		for _, path := range []string{filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
			if err := os.Chmod(path, 0o711); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fill takes space on a disk until only so much is left, and returns what gives
// it back.
func fill(t *testing.T, dir string, left int) (free func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "filler")
	if err := os.WriteFile(path, make([]byte, max(0, int(st.Bavail)*int(st.Bsize)-left)), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
