package vaults

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/boltvault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

const (
	refuseWithin = time.Second     // of a disk that is full
	serveWithin  = 5 * time.Second // of space
)

// outOfSpace inserts until the store refuses, has it refuse some more, gives the
// space back and has it serve again. Rows that were handed out stand all the
// time.
func outOfSpace(t *testing.T, s tokenize.Store, free func()) {
	t.Helper()
	var h vaulttest.History
	insert := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		rows := benchRows(50)
		out, err := s.Insert(ctx, rows)
		for _, o := range out {
			h.Add(o.Row)
		}
		return err
	}
	var slowest time.Duration
	refusals := 0
	for refusals < 20 {
		began := time.Now()
		err := insert(refuseWithin)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a call was neither served nor refused within %v: %v", refuseWithin, err)
		}
		if err != nil {
			if refusals == 0 {
				t.Logf("the first refusal: %v", err)
			}
			refusals++
			slowest = max(slowest, time.Since(began))
		}
		if h.Len() > 1_000_000 {
			t.Fatal("the disk does not fill up")
		}
	}
	if err := h.Check(t.Context(), s); err != nil {
		t.Errorf("while the disk is full: %v", err)
	}
	full := h.Len()
	free()
	began := time.Now()
	for err := insert(serveWithin); err != nil; err = insert(serveWithin) {
		if time.Since(began) > serveWithin {
			t.Fatalf("it does not serve again within %v of space: %v", serveWithin, err)
		}
	}
	t.Logf("%d values before the disk was full; refused %d times in %v at most; served %v after there was space", full, refusals, slowest, time.Since(began))
	for range 10 {
		if err := insert(serveWithin); err != nil {
			t.Error(err)
		}
	}
	if err := h.Check(t.Context(), s); err != nil {
		t.Errorf("after there was space: %v", err)
	}
}

func TestBoltOnAFullDisk(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	dir := smallDisk(t, nil, 8<<20)
	s, err := boltvault.Open(filepath.Join(dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	outOfSpace(t, s, fill(t, dir, 3<<20))
}

// The table is on a disk of its own, as tables that grow are: the server refuses
// what does not fit and goes on.
func TestPostgresOnAFullDisk(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	p := StartPostgres(t)
	dir := smallDisk(t, p.server.owner, 32<<20)
	p.exec(t, "create tablespace small location '"+dir+"'")
	s := openPostgres(t, p.URL("default_tablespace", "small"))
	outOfSpace(t, s, fill(t, dir, 4<<20))
}

// The write-ahead log is on a disk of its own, as it is where commits have to be
// fast. A server that cannot write it stops, for it cannot promise anything, and
// can be started again when there is space.
func TestPostgresWithoutSpaceForItsLog(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	bin, err := postgresBin()
	if err != nil {
		t.Skipf("skipped: no PostgreSQL: %v", err)
	}
	server := newServer(t, "postgres", "postgres")
	dir := smallDisk(t, server.owner, 32<<20)
	p := server.initPostgres(t, bin, filepath.Join(dir, "wal"), []string{"max_wal_size=1GB"})
	s := openPostgres(t, p.URL("pool_max_conns", "8"))
	free := fill(t, dir, 3<<20)
	w := startWriting(t.Context(), s)
	defer w.stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for w.failures.Load() < 50 {
		select {
		case <-ctx.Done():
			t.Fatal("the disk does not fill up")
		case <-tick.C:
		}
	}
	t.Logf("after %d batches the writers were refused: %v", w.batches.Load(), w.lastErr.Load())
	free()
	// It may be on its way down, or up again.
	for before := w.batches.Load(); w.batches.Load() == before; <-tick.C {
		if server.ended() {
			t.Log("the server had stopped")
			p.Restart(t)
			break
		}
		if err := ctx.Err(); err != nil {
			t.Fatalf("it does not serve again: %v", w.lastErr.Load())
		}
	}
	w.waitFor(t, 20)
	w.stop()
	if err := w.history.Check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d values have tokens, and all stand", w.history.Len())
}
