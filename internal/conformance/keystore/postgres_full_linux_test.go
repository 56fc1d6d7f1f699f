package keystore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/conformance/vaults"
)

const mountsEnv = "FIELDVEIL_KEYSTORE_TEST_MOUNTS"

// inOwnMounts runs the test again in a process that has mounts of its own, which
// go with it, and returns true in that one.
func inOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(mountsEnv) != "" {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("skipped: to mount a small disk needs root")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), mountsEnv+"=1")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the child ends with the thread that forks
	defer runtime.UnlockOSThread()
	switch err := cmd.Run(); {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("skipped: to mount a small disk is not allowed here: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "_test.go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	return false
}

// A disk that is full refuses keys, with an error that says so and passes, and
// keeps all that it has: also tombstones are still read.
func TestPostgresOnAFullDisk(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	p := vaults.StartPostgres(t)
	admin := newPool(t, p.URL())
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4194304,mode=0777"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	var data string
	if err := admin.QueryRow(t.Context(), "show data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	// The server's user has to get there, and to own it.
	for up := filepath.Dir(dir); up != "/"; up = filepath.Dir(up) {
		if info, err := os.Stat(up); err != nil {
			t.Fatal(err)
		} else if err := os.Chmod(up, info.Mode().Perm()|0o711); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("the server's folder has no owner")
	}
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	sql(t, admin, "create tablespace small location '"+dir+"'")
	pool := newPool(t, p.URL("default_tablespace", "small", "pool_max_conns", "4"))
	s, l := madeStore(t, pool), madeLedger(t, pool)
	filler := filepath.Join(dir, "filler")
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	const left = 384 << 10
	if err := os.WriteFile(filler, make([]byte, int(st.Bavail)*int(st.Bsize)-left), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := create(t, s, 20)
	forget(t, s, l, rows[0].Person)
	refused := 0
	for refused < 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		r := row("acme")
		_, err := s.Create(ctx, r)
		cancel()
		e, _ := errors.AsType[*pgstore.Error](err)
		switch {
		case err == nil:
			rows = append(rows, r)
		case e == nil || e.SQLState != "53100" || !e.Retryable():
			t.Fatalf("a full disk: %v", err)
		default:
			if _, err := s.Person(t.Context(), r.Tenant, r.Person); !errors.Is(err, shred.ErrNone) {
				t.Fatalf("a key that was refused: %v", err)
			}
			refused++
		}
		if len(rows) > 100_000 {
			t.Fatal("the disk does not fill up")
		}
	}
	full := len(rows)
	check := func() {
		t.Helper()
		for i, r := range rows {
			got, err := s.Person(t.Context(), r.Tenant, r.Person)
			if i == 0 {
				if !errors.Is(err, shred.ErrForgotten) {
					t.Errorf("who was forgotten: %v", err)
				}
				continue
			}
			if err != nil || got.Key != r.Key || !bytes.Equal(got.Sealed, r.Sealed) {
				t.Fatalf("key %d of %d: %v", i, len(rows), err)
			}
		}
	}
	check()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	rows = append(rows, create(t, s, 20)...)
	forget(t, s, l, rows[0].Person)
	check()
	t.Logf("%d keys before the disk was full, 20 refused, %d after; all stand", full, len(rows))
}
