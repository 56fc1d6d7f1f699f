package boltstore

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
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
	path := filepath.Join(dir, "keys")
	s := openAt(t, path)
	var known []int
	n, fails := 0, 0
	fill := func() {
		t.Helper()
		for failed := 0; failed < 5; n++ {
			r := row(n)
			switch got, err := s.Create(t.Context(), r); {
			case err == nil:
				known = append(known, n)
			case !errors.Is(err, syscall.ENOSPC) || got.Sealed != nil:
				t.Fatalf("row %d: %v", n, err)
			default:
				failed++
				fails++
			}
			if n > 10_000 {
				t.Fatal("the disk never fills")
			}
		}
	}
	check := func(s *Store) {
		t.Helper()
		for _, n := range known {
			if err := find(t, s, n); err != nil {
				t.Fatalf("person %d: %v", n, err)
			}
		}
		if r := sound(t, s); r.Persons != len(known) {
			t.Fatalf("%d persons stand, %d were created", r.Persons, len(known))
		}
	}
	fill()
	standing := len(known)
	check(s)
	// There is no room for a copy either, which leaves nothing behind.
	if err := s.Compact(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Compact: %v", err)
	}
	if err := s.Backup(t.Context(), &badWriter{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Backup: %v", err)
	}
	check(s)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	fill()
	if len(known) <= standing {
		t.Error("it does not serve again when there is space")
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(openAt(t, path))
	t.Logf("%d rows, then %d with more space; %d calls failed", standing, len(known)-standing, fails)
}

// A ledger on a full disk takes back what it wrote in part.
func TestALedgerOnAFullDiskIsWhole(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "ledger")
	l, err := shred.CreateFileLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := shred.Entry{By: "privacy desk", Reason: "asked for"}
	var last shred.Entry
	for {
		got, err := l.Append(t.Context(), e)
		if err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
		last = got
	}
	again, err := shred.OpenFileLedger(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, l := range []*shred.FileLedger{l, again} {
		got, err := l.Read(t.Context(), last.Seq-1, 10)
		if err != nil || len(got) != 1 || got[0] != last {
			t.Errorf("%d entries at the end, %v", len(got), err)
		}
		if _, err := l.Append(t.Context(), e); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("one more: %v", err)
		}
	}
	t.Logf("%d entries fit", last.Seq)
}
