package boltstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// replay brings a store up to a ledger, as whoever opens one does first.
func replay(ctx context.Context, s shred.Store, l shred.Ledger) error {
	id, err := l.ID(ctx)
	if err != nil {
		return err
	}
	m, err := s.Mark(ctx)
	if errors.Is(err, shred.ErrNone) {
		m, err = shred.Mark{Ledger: id, Hash: shred.FirstPrev(id)}, nil
	}
	if err != nil {
		return err
	}
	for {
		entries, err := l.Read(ctx, m.Seq, 100)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			if err := s.Forget(ctx, e.Tenant, e.Person); err != nil {
				return err
			}
			m = shred.Mark{Ledger: id, Seq: e.Seq, Hash: e.Hash}
		}
		if err := s.SetMark(ctx, m); err != nil {
			return err
		}
	}
}

// Yesterday's backup of the store is put back, and the ledger is today's.
func TestARestoredBackupForgetsAgainWhomItKnew(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "keys")
	ledger, err := shred.CreateFileLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	forgetPerson := func(s *Store, n int) {
		t.Helper()
		if _, err := ledger.Append(ctx, shred.Entry{Tenant: "acme", Person: row(n).Person, By: "privacy desk", Reason: "asked for"}); err != nil {
			t.Fatal(err)
		}
		if err := replay(ctx, s, ledger); err != nil {
			t.Fatal(err)
		}
	}
	s := openAt(t, path)
	for i := range 6 {
		create(t, s, i)
	}
	if err := s.Put(ctx, datakey.ID{1}, []byte("block")); err != nil {
		t.Fatal(err)
	}
	forgetPerson(s, 0)

	// cp of yesterday: while the store is in use, to a file of its own.
	backup := filepath.Join(dir, "backup")
	out, err := os.OpenFile(backup, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Backup(ctx, out), out.Sync(), out.Close()); err != nil {
		t.Fatal(err)
	}

	forgetPerson(s, 1)
	forgetPerson(s, 2)
	create(t, s, 7) // since the backup: lost with the disk
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(backup, path); err != nil {
		t.Fatal(err)
	}

	s = openAt(t, path)
	if err := find(t, s, 1); err != nil {
		t.Fatalf("the backup did not know a person who was forgotten after it: %v", err)
	}
	if err := replay(ctx, s, ledger); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]error{0: shred.ErrForgotten, 1: shred.ErrForgotten, 2: shred.ErrForgotten, 3: nil, 4: nil, 5: nil, 7: shred.ErrNone} {
		if err := find(t, s, n); !errors.Is(err, want) {
			t.Errorf("person %d: %v, want %v", n, err, want)
		}
	}
	if _, err := s.Create(ctx, row(1)); !errors.Is(err, shred.ErrForgotten) {
		t.Errorf("a new key for a person who was forgotten: %v", err)
	}
	if m, err := s.Mark(ctx); err != nil || m.Seq != 3 {
		t.Errorf("mark %d, %v", m.Seq, err)
	}
	if b, err := s.Get(ctx, datakey.ID{1}); err != nil || string(b) != "block" {
		t.Errorf("the block: %q, %v", b, err)
	}
	if r := sound(t, s); r != (Report{Blocks: 1, Persons: 3, Tombstones: 3}) {
		t.Errorf("%+v", r)
	}
}

// A backup under load is the store of one moment, and opens.
func TestABackupIsOfOneMoment(t *testing.T) {
	s := openNew(t)
	create(t, s, 0)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; ctx.Err() == nil && i < 60_000; i += 4 {
				// Key by key: whoever has the second has the first.
				create(t, s, i)
				if i%8 == g {
					forget(t, s, i)
				}
			}
		})
	}
	for range 5 {
		var b bytes.Buffer
		if err := s.Backup(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "copy")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		again := openAt(t, path)
		r := sound(t, again)
		if r.Persons+r.Tombstones == 0 || again.Report() != r {
			t.Errorf("%+v", r)
		}
	}
	cancel()
	wg.Wait()
	sound(t, s)
}

// A writer that fails, or stops in the middle.
type badWriter struct {
	after int
	err   error
}

func (w *badWriter) Write(b []byte) (int, error) {
	if w.after -= len(b); w.after < 0 {
		return 0, w.err
	}
	return len(b), nil
}

func TestABackupThatFailsLeavesNothingBehind(t *testing.T) {
	s := openNew(t)
	create(t, s, 1)
	full := errors.New("no space on the other disk")
	for _, after := range []int{0, 5000} {
		if err := s.Backup(t.Context(), &badWriter{after: after, err: full}); !errors.Is(err, full) {
			t.Errorf("%v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Backup(ctx, writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil })); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	names, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil || len(names) != 1 {
		t.Errorf("%d files, %v", len(names), err)
	}
	if err := s.Backup(t.Context(), io.Discard); err != nil {
		t.Error(err)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// Calls go on while the reader of a backup is slow, and others wait their turn.
func TestASlowBackupHoldsNobodyUp(t *testing.T) {
	s := openNew(t)
	create(t, s, 1)
	begun, goOn := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		first := true
		done <- s.Backup(t.Context(), writerFunc(func(b []byte) (int, error) {
			if first {
				first = false
				close(begun)
				<-goOn
			}
			return len(b), nil
		}))
	}()
	<-begun
	for i := range 500 { // also those that make the file grow
		create(t, s, i)
	}
	forget(t, s, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Compact(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Compact that was given up: %v", err)
	}
	if _, err := s.Scan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan that was given up: %v", err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Error(err)
	}
	sound(t, s)
}

func TestACompactionThatFailsLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	s := openAt(t, path)
	create(t, s, 1)
	// Something is in the way that cannot be removed.
	if err := os.MkdirAll(filepath.Join(path+compactSuffix, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context()); err == nil {
		t.Fatal("there is no place for the new file")
	}
	create(t, s, 2)
	if err := os.RemoveAll(path + compactSuffix); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, s, 3)
	if r := sound(t, s); r.Persons != 3 {
		t.Errorf("%+v", r)
	}
}

// What a process that died left over is gone when the store is opened.
func TestLeftoversAreRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	for _, suffix := range []string{compactSuffix, backupSuffix} {
		if err := os.WriteFile(path+suffix, []byte("half a copy"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openAt(t, path)
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("%d files, %v", len(names), err)
	}
}

// Damaged rows stay what they are: nobody shall miss them.
func TestACompactionKeepsDamagedRows(t *testing.T) {
	s := openNew(t)
	create(t, s, 1)
	if err := s.Put(t.Context(), datakey.ID{1}, []byte("block")); err != nil {
		t.Fatal(err)
	}
	path := s.path
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, path, blocksTable, datakey.ID{1}.String())
	s = openAt(t, path)
	before := s.Report()
	if before.Damaged != 1 {
		t.Fatalf("%+v", before)
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := s.Scan(t.Context()); err != nil || after != before {
		t.Errorf("%+v, %v", after, err)
	}
	if _, err := s.Get(t.Context(), datakey.ID{1}); !errors.Is(err, ErrRow) {
		t.Errorf("%v", err)
	}
}
