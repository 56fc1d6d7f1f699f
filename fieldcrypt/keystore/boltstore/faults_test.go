package boltstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	bolt "go.etcd.io/bbolt"
)

func row(n int) shred.Row {
	return shred.Row{
		Tenant: "acme", Person: shred.PersonID{byte(n), byte(n >> 8), 1}, Key: shred.KeyID{byte(n), byte(n >> 8), 2},
		Sealed: bytes.Repeat([]byte{byte(n), 0xa5}, 36),
	}
}

func create(t testing.TB, s *Store, n int) {
	t.Helper()
	got, err := s.Create(t.Context(), row(n))
	if err != nil {
		t.Fatal(err)
	}
	if got.Key != row(n).Key {
		t.Fatal("another row stands")
	}
}

func forget(t testing.TB, s *Store, n int) {
	t.Helper()
	if err := s.Forget(t.Context(), row(n).Tenant, row(n).Person); err != nil {
		t.Fatal(err)
	}
}

func find(t testing.TB, s *Store, n int) error {
	t.Helper()
	got, err := s.Person(t.Context(), row(n).Tenant, row(n).Person)
	if err == nil && !bytes.Equal(got.Sealed, row(n).Sealed) {
		t.Fatal("another key stands")
	}
	return err
}

// sound checks the pages and the rows of the file.
func sound(t testing.TB, s *Store) Report {
	t.Helper()
	if _, _, err := s.view(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	r, err := s.Scan(t.Context())
	if err != nil || r.Damaged != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	return r
}

func TestTheFileOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := openAt(t, path)
	create(t, s, 1)
	create(t, s, 2)
	forget(t, s, 2)
	if err := s.Put(t.Context(), datakey.ID{1}, []byte("block")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	if err := errors.Join(find(t, again, 1)); err != nil || !errors.Is(find(t, again, 2), shred.ErrForgotten) {
		t.Errorf("%v", err)
	}
	if r := again.Report(); r != (Report{Blocks: 1, Persons: 1, Tombstones: 1}) || sound(t, again) != r {
		t.Errorf("%+v", r)
	}
}

func TestOneProcessHasTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := openAt(t, path)
	for range 2 { // also after another file was put in its place
		if second, err := Open(path, WithLockWait(10*time.Millisecond)); !errors.Is(err, ErrLocked) || second != nil {
			t.Errorf("second: %v", err)
		}
		if err := s.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	if _, err := Open(path, WithLockWait(0)); err == nil {
		t.Error("a wait of nothing is none")
	}
}

// One who waited for the lock of a file gets that of a file which is gone.
func TestAFileThatWasReplacedMeanwhileIsNotUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := openAt(t, path)
	create(t, s, 1)
	opened := make(chan error)
	go func() {
		second, err := Open(path, WithLockWait(10*time.Second))
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	// The other one is waiting for the old file, or comes later and waits for the
	// new one: in the end it has the one with the name, or none.
	for range 20 {
		if err := s.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		create(t, s, 1)
	}
	create(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil && !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	again := openAt(t, path)
	if err := errors.Join(find(t, again, 1), find(t, again, 2)); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatIsClosedSaysSo(t *testing.T) {
	s := openNew(t)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, block := t.Context(), []byte("block")
	_, get := s.Get(ctx, datakey.ID{})
	_, root := s.Root(ctx, "a")
	_, createRoot := s.CreateRoot(ctx, "a", block)
	_, person := s.Person(ctx, "a", shred.PersonID{})
	_, byKey := s.ByKey(ctx, "a", shred.KeyID{})
	_, created := s.Create(ctx, row(1))
	_, mark := s.Mark(ctx)
	_, scanned := s.Scan(ctx)
	for i, err := range []error{
		get, root, createRoot, person, byKey, created, mark, scanned, s.Put(ctx, datakey.ID{}, block), s.Replace(ctx, datakey.ID{}, block, block),
		s.Remove(ctx, datakey.ID{}, block), s.Each(ctx, nil), s.EachRoot(ctx, nil), s.ReplaceRoot(ctx, "a", block, block),
		s.Forget(ctx, "a", shred.PersonID{}), s.SetMark(ctx, shred.Mark{}), s.Backup(ctx, nil), s.Compact(ctx),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
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
			meta, err := tx.CreateBucket([]byte(metaTable))
			if err != nil {
				return err
			}
			return meta.Put([]byte(formatKey), []byte{0, 0, 0, 2})
		}), ErrFile},
		{"one without its tables", database(func(tx *bolt.Tx) error {
			meta, err := tx.CreateBucket([]byte(metaTable))
			if err != nil {
				return err
			}
			return meta.Put([]byte(formatKey), []byte{0, 0, 0, 1})
		}), ErrFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			if s, err := Open(path); !errors.Is(err, tt.want) || s != nil {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none", "keys")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

var errDisk = errors.New("input/output error")

// A sync of the root fails after the root was written: it can be seen, and may
// never reach the disk. Nothing of it may be handed out before it surely has.
func TestNothingIsHandedOutAfterAFailedSyncUntilTheDiskHasIt(t *testing.T) {
	s := openNew(t)
	create(t, s, 1)
	create(t, s, 3)
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
		if got, err := s.Create(t.Context(), row(2)); !errors.Is(err, errDisk) || got.Sealed != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if err := s.Forget(t.Context(), "acme", row(3).Person); !errors.Is(err, errDisk) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	// It can be seen, yet no call says so.
	if err := find(t, s, 2); !errors.Is(err, errDisk) {
		t.Errorf("Person: %v", err)
	}
	if _, err := s.ByKey(t.Context(), "acme", row(2).Key); !errors.Is(err, errDisk) {
		t.Errorf("ByKey: %v", err)
	}
	if err := s.Compact(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("Compact: %v", err)
	}
	if resyncs < 4 {
		t.Errorf("%d attempts to bring the root to the disk", resyncs)
	}
	failSync.Store(false)
	failAgain.Store(false)
	create(t, s, 2)
	create(t, s, 4)
	before := resyncs
	create(t, s, 5)
	if resyncs != before {
		t.Error("it goes on to rewrite the root")
	}
	if r := sound(t, s); r.Persons != 5 {
		t.Errorf("%+v", r)
	}
}

// A write that fails before the root is written changes nothing.
func TestAFailedWriteChangesNothing(t *testing.T) {
	s := openNew(t)
	create(t, s, 1)
	update := s.update
	s.update = func(f func(*bolt.Tx) error) error {
		return update(func(tx *bolt.Tx) error {
			if err := f(tx); err != nil {
				return err
			}
			return errDisk
		})
	}
	if got, err := s.Create(t.Context(), row(2)); !errors.Is(err, errDisk) || got.Sealed != nil {
		t.Fatal(err)
	}
	if err := s.Forget(t.Context(), "acme", row(1).Person); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	if err := find(t, s, 1); err != nil {
		t.Errorf("a known person meanwhile: %v", err)
	}
	s.update = update
	if err := find(t, s, 2); !errors.Is(err, shred.ErrNone) {
		t.Errorf("afterwards: %v", err)
	}
	create(t, s, 2)
	if r := sound(t, s); r.Persons != 2 {
		t.Errorf("%+v", r)
	}
}

func TestAPanicEndsItsCallsAndNotTheProcess(t *testing.T) {
	s := openNew(t)
	update := s.update
	s.update = func(func(*bolt.Tx) error) error { panic("page 7 already freed") }
	if _, err := s.Create(t.Context(), row(1)); !errors.Is(err, ErrFile) {
		t.Fatal(err)
	}
	s.update = update
	create(t, s, 1)
}

// Callers that come while the disk is busy share the next transaction.
func TestWritersShareTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openNew(t)
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
		wg.Go(func() { create(t, s, 0) })
		synctest.Wait()
		for i := range writers {
			wg.Go(func() { create(t, s, 1+i) })
		}
		// One gives up while it waits, and is left out; one is refused, and the
		// others are not.
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := s.Create(ctx, row(100)); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that gave up: %v", err)
			}
		})
		thief := row(101)
		thief.Key = row(0).Key
		wg.Go(func() {
			if _, err := s.Create(t.Context(), thief); !errors.Is(err, shred.ErrTaken) {
				t.Errorf("a key id that is taken: %v", err)
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
		if r := sound(t, s); r.Persons != writers+1 {
			t.Errorf("%+v", r)
		}
	})
}

// edit changes a closed store's file by the hand of bbolt.
func edit(t *testing.T, path string, f func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Every byte of every row is bound to its place.
func TestADamagedRowIsRefusedAndTheOthersServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	fill := func() {
		_ = os.Remove(path)
		s := openAt(t, path)
		for i := range 3 {
			create(t, s, i)
			if err := s.Put(t.Context(), datakey.ID{byte(i)}, []byte("block")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.CreateRoot(t.Context(), string(rune('a'+i)), []byte("root")); err != nil {
				t.Fatal(err)
			}
		}
		forget(t, s, 2)
		if err := errors.Join(s.SetMark(t.Context(), shred.Mark{Seq: 3}), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	for _, tt := range []struct {
		name    string
		table   table
		key     []byte
		persons bool
		call    func(s *Store) error
	}{
		{"a block", blocksTable, make([]byte, 12), false, func(s *Store) error { _, err := s.Get(ctx, datakey.ID{}); return err }},
		{"a block that is put again", blocksTable, make([]byte, 12), false, func(s *Store) error { return s.Put(ctx, datakey.ID{}, []byte("x")) }},
		{"a block that is replaced", blocksTable, make([]byte, 12), false, func(s *Store) error { return s.Replace(ctx, datakey.ID{}, []byte("block"), []byte("x")) }},
		{"a block that is removed", blocksTable, make([]byte, 12), false, func(s *Store) error { return s.Remove(ctx, datakey.ID{}, []byte("block")) }},
		{"a listing of blocks", blocksTable, make([]byte, 12), false, func(s *Store) error {
			return eachOf(t, 2, func(f func()) error { return s.Each(ctx, func(datakey.ID, []byte) error { f(); return nil }) })
		}},
		{"a root", rootsTable, rootKey("a"), false, func(s *Store) error { _, err := s.Root(ctx, "a"); return err }},
		{"a root that is created", rootsTable, rootKey("a"), false, func(s *Store) error { _, err := s.CreateRoot(ctx, "a", []byte("x")); return err }},
		{"a root that is replaced", rootsTable, rootKey("a"), false, func(s *Store) error { return s.ReplaceRoot(ctx, "a", []byte("root"), []byte("x")) }},
		{"a listing of roots", rootsTable, rootKey("a"), false, func(s *Store) error {
			return eachOf(t, 2, func(f func()) error { return s.EachRoot(ctx, func(string, []byte) error { f(); return nil }) })
		}},
		{"a person", personsTable, personKey("acme", row(0).Person), true, func(s *Store) error { return find(t, s, 0) }},
		{"a person by his key", personsTable, personKey("acme", row(0).Person), true, func(s *Store) error { _, err := s.ByKey(ctx, "acme", row(0).Key); return err }},
		{"a person who is created", personsTable, personKey("acme", row(0).Person), true, func(s *Store) error { _, err := s.Create(ctx, row(0)); return err }},
		{"a tombstone", personsTable, personKey("acme", row(2).Person), true, func(s *Store) error { return find(t, s, 2) }},
		{"a tombstone that is to be passed", personsTable, personKey("acme", row(2).Person), true, func(s *Store) error { _, err := s.Create(ctx, row(2)); return err }},
		{"a key id", keysTable, keyKey("acme", row(0).Key), false, func(s *Store) error { _, err := s.ByKey(ctx, "acme", row(0).Key); return err }},
		{"a key id that is wanted", keysTable, keyKey("acme", row(0).Key), false, func(s *Store) error { r := row(9); r.Key = row(0).Key; _, err := s.Create(ctx, r); return err }},
		{"the mark", metaTable, []byte(markKey), false, func(s *Store) error { _, err := s.Mark(ctx); return err }},
		{"the mark that is set", metaTable, []byte(markKey), false, func(s *Store) error { return s.SetMark(ctx, shred.Mark{Seq: 9}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fill()
			edit(t, path, func(tx *bolt.Tx) error {
				b := tx.Bucket([]byte(tt.table))
				value := bytes.Clone(b.Get(tt.key))
				value[len(value)/2] ^= 4
				return b.Put(tt.key, value)
			})
			s := openAt(t, path)
			defer s.Close()
			if r := s.Report(); r.Damaged < 1 || (r.DamagedPersons > 0) != tt.persons {
				t.Errorf("%+v", r)
			}
			if err := tt.call(s); !errors.Is(err, ErrRow) {
				t.Errorf("%v", err)
			}
			if s.Refused() == 0 {
				t.Error("it was not counted")
			}
			if err := find(t, s, 1); err != nil {
				t.Errorf("another person: %v", err)
			}
			_, err := s.Create(ctx, row(50))
			if tt.persons && !errors.Is(err, ErrRow) || !tt.persons && err != nil {
				t.Errorf("a new person: %v", err)
			}
			// Whoever is damaged can be forgotten.
			if err := s.Forget(ctx, "acme", row(0).Person); err != nil || !errors.Is(find(t, s, 0), shred.ErrForgotten) {
				t.Errorf("Forget: %v", err)
			}
		})
	}
}

// eachOf counts the calls of a listing.
func eachOf(t *testing.T, want int, list func(f func()) error) error {
	t.Helper()
	n := 0
	err := list(func() { n++ })
	if n != want {
		t.Errorf("%d sound rows of %d are listed", n, want)
	}
	return err
}

func TestEveryByteOfARowCounts(t *testing.T) {
	key, body := []byte("key"), []byte("body of a row")
	sound := encodeRow(blocksTable, key, body)
	if got, err := decodeRow(blocksTable, key, sound); err != nil || !bytes.Equal(got, body) {
		t.Fatal(err)
	}
	for i := range sound {
		for bit := range 8 {
			damaged := bytes.Clone(sound)
			damaged[i] ^= 1 << bit
			if _, err := decodeRow(blocksTable, key, damaged); !errors.Is(err, ErrRow) {
				t.Errorf("bit %d of byte %d: %v", bit, i, err)
			}
		}
		if _, err := decodeRow(blocksTable, key, sound[:i]); !errors.Is(err, ErrRow) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	if _, err := decodeRow(blocksTable, []byte("kez"), sound); !errors.Is(err, ErrRow) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := decodeRow(rootsTable, key, sound); !errors.Is(err, ErrRow) {
		t.Errorf("in another table: %v", err)
	}
}

// The name of a tombstone was damaged: no lookup of the person finds it.
func TestNoPersonIsNewWhileATombstoneHasLostItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := openAt(t, path)
	create(t, s, 1)
	create(t, s, 2)
	forget(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(personsTable))
		key := personKey("acme", row(2).Person)
		value := bytes.Clone(b.Get(key))
		other := bytes.Clone(key)
		other[len(other)-1] ^= 1
		return errors.Join(b.Delete(key), b.Put(other, value))
	})
	s = openAt(t, path)
	again := row(2)
	again.Key = shred.KeyID{99}
	if _, err := s.Create(t.Context(), again); !errors.Is(err, ErrRow) {
		t.Errorf("the person who was forgotten: %v", err)
	}
	if _, err := s.ByKey(t.Context(), "acme", row(2).Key); !errors.Is(err, ErrRow) {
		t.Errorf("by his key: %v", err)
	}
	if err := find(t, s, 1); err != nil {
		t.Errorf("another person: %v", err)
	}
	create(t, s, 1)
}

// The bytes of a sealed key are in the file until it is written anew, and in no
// backup.
func TestNothingOfADestroyedKeyIsLeftAfterCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := openAt(t, path)
	const persons = 300
	secrets := make([][]byte, persons)
	for i := range persons {
		r := row(i)
		secrets[i] = make([]byte, 73)
		_, _ = rand.Read(secrets[i])
		r.Sealed = bytes.Clone(secrets[i])
		if _, err := s.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	block := bytes.Repeat([]byte("removed block "), 20)
	if err := errors.Join(s.Put(t.Context(), datakey.ID{7}, block), s.Remove(t.Context(), datakey.ID{7}, block)); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < persons; i += 2 {
		forget(t, s, i)
	}
	traces := func(b []byte) (destroyed, standing int) {
		for i, secret := range secrets {
			if !bytes.Contains(b, secret[8:24]) {
				continue
			}
			if i%2 == 0 {
				destroyed++
			} else {
				standing++
			}
		}
		return destroyed, standing
	}
	file := func() []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	before := file()
	if destroyed, standing := traces(before); destroyed == 0 || standing != persons/2 {
		t.Fatalf("before: traces of %d destroyed keys, %d standing ones: nothing is checked", destroyed, standing)
	}
	var backup bytes.Buffer
	if err := s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"file": file(), "backup": backup.Bytes()} {
		if destroyed, standing := traces(b); destroyed != 0 || standing != persons/2 || bytes.Contains(b, block[:28]) {
			t.Errorf("%s: traces of %d destroyed keys, %d standing ones", name, destroyed, standing)
		}
		if len(b) >= len(before) {
			t.Errorf("%s: %d bytes, and %d before", name, len(b), len(before))
		}
	}
	// It is the same store, and goes on.
	if r := sound(t, s); r.Persons != persons/2 || r.Tombstones != persons/2 {
		t.Errorf("%+v", r)
	}
	create(t, s, 5000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := openAt(t, path); sound(t, again).Persons != persons/2+1 {
		t.Error("what was written after Compact is lost")
	}
}

// damage flips a bit of a row, whose key is in hex.
func damage(t *testing.T, path string, in table, key string) {
	t.Helper()
	k, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(in))
		value := bytes.Clone(b.Get(k))
		value[len(value)/2] ^= 4
		return b.Put(k, value)
	})
}

// Whatever stands in a row: what is accepted is written in one way.
func FuzzRow(f *testing.F) {
	live := person{hasKey: true, key: shred.KeyID{1}, sealed: []byte("sealed")}
	gone, never := person{forgotten: true, hasKey: true, key: shred.KeyID{1}}, person{forgotten: true}
	for _, p := range []person{live, gone, never} {
		body := p.encode()
		f.Add(personKey("acme", shred.PersonID{1}), body, encodeRow(personsTable, []byte("k"), body))
	}
	mark := encodeMark(shred.Mark{Seq: 1})
	f.Add([]byte(markKey), mark, encodeRow(metaTable, []byte(markKey), mark))
	f.Fuzz(func(t *testing.T, key, body, row []byte) {
		for _, tab := range append(tables(), metaTable) {
			got, err := decodeRow(tab, key, row)
			if err == nil && !bytes.Equal(encodeRow(tab, key, got), row) {
				t.Errorf("a row of %s has two spellings", tab)
			}
			if err != nil && !errors.Is(err, ErrRow) {
				t.Error(err)
			}
			if again, err := decodeRow(tab, key, encodeRow(tab, key, body)); err != nil || !bytes.Equal(again, body) {
				t.Errorf("a row of %s is not read: %v", tab, err)
			}
		}
		if p, err := decodePerson(body); err == nil && !bytes.Equal(p.encode(), body) {
			t.Errorf("a person has two spellings: %x", body)
		}
		if m, err := decodeMark(body); err == nil && !bytes.Equal(encodeMark(m), body) {
			t.Errorf("a mark has two spellings: %x", body)
		}
		for _, size := range []int{len(shred.PersonID{}), len(shred.KeyID{})} {
			if tenant, id, ok := splitKey(key, size); ok && !bytes.Equal(tenantKey(tenant, id), key) {
				t.Errorf("a key has two spellings: %x", key)
			}
		}
	})
}
