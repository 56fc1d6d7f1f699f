package boltvault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
	bolt "go.etcd.io/bbolt"
)

func row(n int) tokenize.Row {
	r := tokenize.Row{Scope: "s", Token: fmt.Appendf(nil, "token %d", n), Sealed: fmt.Appendf(nil, "sealed %d", n)}
	binary.BigEndian.PutUint64(r.Index[:], uint64(n)+1)
	return r
}

// insertOne inserts a row and returns what became of it.
func insertOne(t testing.TB, s *Store, r tokenize.Row) tokenize.Status {
	t.Helper()
	out, err := s.Insert(t.Context(), []tokenize.Row{r})
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Status
}

// sound checks that each index of the file leads to a row and back, and that
// the count is right.
func sound(t testing.TB, s *Store, scope string) (rows int) {
	t.Helper()
	err := s.db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		b := tx.Bucket(scopesBucket).Bucket([]byte(scope))
		if b == nil {
			return nil
		}
		indexes, tokens := b.Bucket(indexBucket), b.Bucket(tokenBucket)
		if err := indexes.ForEach(func(index, token []byte) error {
			if stored := tokens.Get(token); !bytes.HasPrefix(stored, index) {
				t.Error("an index leads to no row")
			}
			return nil
		}); err != nil {
			return err
		}
		err := tokens.ForEach(func(token, stored []byte) error {
			rows++
			if !bytes.Equal(indexes.Get(stored[:tokenize.IndexSize]), token) {
				t.Error("a row has no index")
			}
			return nil
		})
		if n := b.Sequence(); n != uint64(rows) {
			t.Errorf("%d rows are counted as %d", rows, n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return rows
}

func TestTheFileOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault")
	s := openAt(t, path)
	if got := insertOne(t, s, row(1)); got != tokenize.Inserted {
		t.Errorf("status %d", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	if got := insertOne(t, again, row(1)); got != tokenize.Exists {
		t.Errorf("status %d after opening again", got)
	}
	sound(t, again, "s")
}

func TestOneProcessHasTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault")
	s := openAt(t, path)
	if second, err := Open(path, WithLockWait(10*time.Millisecond)); !errors.Is(err, ErrLocked) || second != nil {
		t.Errorf("second: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	if _, err := Open(path, WithLockWait(0)); err == nil {
		t.Error("a wait of nothing is none")
	}
}

func TestAStoreThatIsClosedSaysSo(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "vault"))
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	r := row(1)
	_, insert := s.Insert(t.Context(), []tokenize.Row{r})
	_, byIndex := s.ByIndex(t.Context(), []tokenize.Key{{Scope: r.Scope, Index: r.Index}})
	_, byToken := s.ByToken(t.Context(), []tokenize.Ref{{Scope: r.Scope, Token: r.Token}})
	_, count := s.Count(t.Context(), r.Scope)
	remove := s.Delete(t.Context(), []tokenize.Ref{{Scope: r.Scope, Token: r.Token}})
	for i, err := range []error{insert, byIndex, byToken, count, remove} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestClosingWaitsForWhatIsUnderWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault")
	s := openAt(t, path)
	var wg sync.WaitGroup
	var h vaulttest.History
	var some atomic.Int64
	enough := make(chan struct{})
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				out, err := s.Insert(t.Context(), []tokenize.Row{row(g*1_000_000 + i)})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				h.Add(out[0].Row)
				if some.Add(1) == 100 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	again := openAt(t, path)
	if err := h.Check(t.Context(), again); err != nil {
		t.Error(err)
	}
	sound(t, again, "s")
}

func TestFilesThatAreNoStoreAreRefused(t *testing.T) {
	write := func(mode os.FileMode, b []byte) func(path string) error {
		return func(path string) error { return errors.Join(os.WriteFile(path, b, mode), os.Chmod(path, mode)) }
	}
	noise := make([]byte, 1<<16)
	_, _ = rand.Read(noise)
	database := func(f func(tx *bolt.Tx) error) func(path string) error {
		return func(path string) error {
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				return err
			}
			return errors.Join(db.Update(f), db.Close())
		}
	}
	for _, tt := range []struct {
		name string
		make func(path string) error
		want error
	}{
		{"a text", write(0o600, bytes.Repeat([]byte("text "), 5000)), ErrFile},
		{"noise", write(0o600, noise), ErrFile},
		{"a few bytes", write(0o600, []byte("abc")), ErrFile},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, ErrFile},
		{"one that its group may read", write(0o640, nil), ErrMode},
		{"one that all may read", write(0o604, nil), ErrMode},
		{"a database of something else", database(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("other"))
			return err
		}), ErrFile},
		{"one of a later release", database(func(tx *bolt.Tx) error {
			meta, err := tx.CreateBucket(metaBucket)
			if err != nil {
				return err
			}
			_, err = tx.CreateBucket(scopesBucket)
			return errors.Join(err, meta.Put(formatKey, []byte{0, 0, 0, 2}))
		}), ErrFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vault")
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			if s, err := Open(path); !errors.Is(err, tt.want) || s != nil {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none", "vault")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

var errDisk = errors.New("input/output error")

// A sync of the root fails after the root was written: it can be seen, and may
// never reach the disk. Nothing of it may be handed out before it surely has.
func TestNothingIsHandedOutAfterAFailedSyncUntilTheDiskHasIt(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "vault"))
	insertOne(t, s, row(1))
	var failSync, failAgain atomic.Bool
	update, resync := s.update, s.resync
	resyncs := 0
	s.update = func(f func(*bolt.Tx) error) error {
		err := update(f)
		if err == nil && failSync.Load() {
			return errDisk
		}
		return err
	}
	s.resync = func() error {
		resyncs++
		if failAgain.Load() {
			return errDisk
		}
		return resync()
	}
	failSync.Store(true)
	failAgain.Store(true)
	for i := range 3 {
		if out, err := s.Insert(t.Context(), []tokenize.Row{row(2)}); !errors.Is(err, errDisk) || out != nil {
			t.Fatalf("attempt %d: %v, %v", i, out, err)
		}
	}
	two := row(2)
	// It can be seen, yet no call says so.
	if rows, err := s.ByIndex(t.Context(), []tokenize.Key{{Scope: "s", Index: two.Index}}); !errors.Is(err, errDisk) || rows != nil {
		t.Errorf("ByIndex: %d rows, %v", len(rows), err)
	}
	if rows, err := s.ByToken(t.Context(), []tokenize.Ref{{Scope: "s", Token: two.Token}}); !errors.Is(err, errDisk) || rows != nil {
		t.Errorf("ByToken: %d rows, %v", len(rows), err)
	}
	if resyncs < 4 {
		t.Errorf("%d attempts to bring the root to the disk", resyncs)
	}
	failSync.Store(false)
	failAgain.Store(false)
	if got := insertOne(t, s, two); got != tokenize.Exists {
		t.Errorf("status %d when the disk is back", got)
	}
	if got := insertOne(t, s, row(3)); got != tokenize.Inserted {
		t.Errorf("status %d of a new row", got)
	}
	before := resyncs
	insertOne(t, s, row(4))
	if resyncs != before {
		t.Error("it goes on to rewrite the root")
	}
	if n := sound(t, s, "s"); n != 4 {
		t.Errorf("%d rows", n)
	}
}

// A write that fails before the root is written changes nothing.
func TestAFailedWriteChangesNothing(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "vault"))
	insertOne(t, s, row(1))
	update := s.update
	s.update = func(f func(*bolt.Tx) error) error {
		return update(func(tx *bolt.Tx) error {
			if err := f(tx); err != nil {
				return err
			}
			return errDisk
		})
	}
	if out, err := s.Insert(t.Context(), []tokenize.Row{row(2)}); !errors.Is(err, errDisk) || out != nil {
		t.Fatalf("%v, %v", out, err)
	}
	if err := s.Delete(t.Context(), []tokenize.Ref{{Scope: "s", Token: row(1).Token}}); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	if got := insertOne(t, s, row(1)); got != tokenize.Exists {
		t.Errorf("status %d of a known row meanwhile", got)
	}
	s.update = update
	if got := insertOne(t, s, row(2)); got != tokenize.Inserted {
		t.Errorf("status %d afterwards", got)
	}
	if n := sound(t, s, "s"); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestAPanicEndsItsCallsAndNotTheProcess(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "vault"))
	update := s.update
	s.update = func(func(*bolt.Tx) error) error { panic("page 7 already freed") }
	if out, err := s.Insert(t.Context(), []tokenize.Row{row(1)}); !errors.Is(err, ErrFile) || out != nil {
		t.Fatalf("%v, %v", out, err)
	}
	s.update = update
	if got := insertOne(t, s, row(1)); got != tokenize.Inserted {
		t.Errorf("status %d afterwards", got)
	}
}

// Callers that come while the disk is busy share the next transaction.
func TestWritersShareTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, filepath.Join(t.TempDir(), "vault"))
		const writers = 8
		busy := make(chan struct{})
		var transactions atomic.Int64
		update := s.update
		s.update = func(f func(*bolt.Tx) error) error {
			if transactions.Add(1) == 1 {
				<-busy
			}
			return update(f)
		}
		var wg sync.WaitGroup
		wg.Go(func() { insertOne(t, s, row(0)) })
		synctest.Wait()
		for i := range writers {
			wg.Go(func() { insertOne(t, s, row(1+i)) })
		}
		// One gives up while it waits, and is left out.
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if out, err := s.Insert(ctx, []tokenize.Row{row(100)}); !errors.Is(err, context.Canceled) || out != nil {
				t.Errorf("a caller that gave up: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(busy)
		wg.Wait()
		if n := transactions.Load(); n != 2 {
			t.Errorf("%d writers took %d transactions", writers+1, n)
		}
		if n := sound(t, s, "s"); n != writers+1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestACallThatWasGivenUpIsLeftOut(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "vault"))
	insertOne(t, s, row(1))
	ctx, cancel := context.WithCancel(t.Context())
	update := s.update
	s.update = func(f func(*bolt.Tx) error) error {
		cancel() // the caller goes when its turn has come
		return update(f)
	}
	if out, err := s.Insert(ctx, []tokenize.Row{row(2)}); !errors.Is(err, context.Canceled) || out != nil {
		t.Errorf("%v, %v", out, err)
	}
	if got := insertOne(t, s, row(3)); got != tokenize.Inserted {
		t.Errorf("status %d of the next one", got)
	}
	if n := sound(t, s, "s"); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestTheCountIsExact(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "vault"))
	var refs []tokenize.Ref
	for i := range 20 {
		insertOne(t, s, row(i))
		refs = append(refs, tokenize.Ref{Scope: "s", Token: row(i).Token})
	}
	if err := s.Delete(t.Context(), append(refs[:5:5], refs[0], tokenize.Ref{Scope: "t", Token: refs[7].Token})); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Count(t.Context(), "s"); err != nil || n != 15 || sound(t, s, "s") != 15 {
		t.Errorf("Count is %d, %v", n, err)
	}
}

func BenchmarkInsert(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openAt(b, filepath.Join(b.TempDir(), "vault"))
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for {
						n := int(next.Add(1))
						if n > b.N {
							return
						}
						if _, err := s.Insert(b.Context(), []tokenize.Row{row(n)}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
