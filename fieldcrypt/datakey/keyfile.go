package datakey

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// keyFiles is a directory with the last wrapped data key of each scope that asks
// for it, so that a process starts when the KMS unwraps and does not generate.
// It belongs to one process at a time.
//
// No file holds a key in clear, nor anything that nonces depend on: each run
// draws its own (FV-11). What a file holds besides the wrapped key is how many
// seals and bytes were given to runs so far. A run takes a share of what is left
// and makes that durable before it seals anything; what it does not use is lost.
// So all runs together stay within the limits of the key, whenever they crash.
//
// An old copy of the directory, as a restored disk or a cloned machine has it,
// brings shares back that were given out. The run that made the key takes half
// of the limit, and restarts take a sixteenth of the rest each. So n machines
// that start from copies of one file seal at most 1/2 + n/32 of the limit in
// their first runs, and (n+1)/2 of it however often they restart. The limit is
// 2^28 at most where nonces have 96 bits, so 31 copies stay within 2^32 for good,
// and 496 in their first runs; and the key expires. Who clones more machines than
// that with key files in them uses suite XAES256GCM, whose bound is 2^80.
type keyFiles struct {
	dir string

	mu   sync.Mutex
	lock io.Closer // nil until the first use
	err  error     // why there is none
	shut bool
}

// A keyFile is the content of one file. See FV-9 in docs/format.md.
type keyFile struct {
	born  time.Time // by the wall clock, to the millisecond
	seals uint64    // given to runs so far
	bytes uint64
	block []byte
}

const (
	keyFileMagic = "fieldveil key file 1\n"
	keyFileFixed = len(keyFileMagic) + 3*8
	// maxKeyFile bounds what is read: a key block of 64 KiB at most.
	maxKeyFile                 = keyFileFixed + 1<<16 + 1024 + sha256.Size
	keyFileMode    fs.FileMode = 0o600
	keyDirMode     fs.FileMode = 0o700
	keyFileSuffix              = ".key"
	keyFileNew                 = ".new"
	keyFileLock                = "lock"
	firstShare                 = 2  // of the limit, to the run that makes the key
	restartShare               = 16 // of the rest, to each run after it
	keyFileLongest             = 400 * 24 * time.Hour
)

var (
	errKeyFile     = errors.New("damaged, or not a key file")
	errKeyFileUsed = errors.New("nothing is left of its limits")
	errKeyFileOld  = errors.New("the key has expired, or the clock was set back")
	errKeyFileLock = errors.New("another process uses the directory")
)

// encode returns the content of the file: magic, time of birth, seals, bytes,
// key block, and the SHA-256 of all that, which tells a damaged file and is no
// protection against somebody who writes files.
func (k keyFile) encode() []byte {
	b := []byte(keyFileMagic)
	b = binary.BigEndian.AppendUint64(b, uint64(k.born.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, k.seals)
	b = binary.BigEndian.AppendUint64(b, k.bytes)
	b = append(b, k.block...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseKeyFile reads what encode wrote and nothing else.
func parseKeyFile(b []byte) (keyFile, error) {
	if len(b) <= keyFileFixed+sha256.Size || len(b) > maxKeyFile || !strings.HasPrefix(string(b[:len(keyFileMagic)]), keyFileMagic) {
		return keyFile{}, errKeyFile
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(want[:], sum) {
		return keyFile{}, errKeyFile
	}
	n := body[len(keyFileMagic):]
	k := keyFile{
		born:  time.UnixMilli(int64(binary.BigEndian.Uint64(n))), //nolint:gosec // written as signed
		seals: binary.BigEndian.Uint64(n[8:]), bytes: binary.BigEndian.Uint64(n[16:]),
		block: bytes.Clone(n[24:]),
	}
	if _, err := envelope.ParseKeyBlock(k.block); err != nil {
		return keyFile{}, errKeyFile
	}
	return k, nil
}

// open takes the directory, which it makes when there is none.
func (d *keyFiles) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.shut:
		return errClosed
	case d.lock != nil || d.err != nil:
		return d.err
	}
	if d.err = os.MkdirAll(d.dir, keyDirMode); d.err == nil {
		d.lock, d.err = lockFile(filepath.Join(d.dir, keyFileLock))
	}
	return d.err
}

// close gives the directory back. The files stay for the next run.
func (d *keyFiles) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	if d.lock != nil {
		_ = d.lock.Close()
		d.lock = nil
	}
}

// path returns that of a scope's file. Names of tenants stay out of the names of
// files: they may hold anything, and be long.
func (d *keyFiles) path(s *Scope) string {
	h := sha256.New()
	for _, part := range []string{s.spec.Name, s.spec.Tenant} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return filepath.Join(d.dir, hex.EncodeToString(h.Sum(nil)[:16])+keyFileSuffix)
}

// read returns the content of a scope's file, or an error that wraps
// fs.ErrNotExist when there is none.
func (d *keyFiles) read(s *Scope) (k keyFile, err error) {
	f, err := os.Open(d.path(s))
	if err != nil {
		return keyFile{}, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	switch {
	case err != nil:
		return keyFile{}, err
	case !info.Mode().IsRegular() || info.Mode().Perm()&^keyFileMode != 0:
		return keyFile{}, fmt.Errorf("mode %v lets others than its owner in: %w", info.Mode(), errKeyFile)
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(maxKeyFile)+1))
	if err != nil {
		return keyFile{}, err
	}
	return parseKeyFile(b)
}

// write replaces a scope's file at once, and returns when that is durable.
func (d *keyFiles) write(s *Scope, k keyFile) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return errClosed // the next process may have the directory by now
	}
	path := d.path(s)
	f, err := os.OpenFile(path+keyFileNew, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, keyFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(k.encode())
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+keyFileNew, path); err != nil {
		return err
	}
	return syncDir(d.dir)
}

func (d *keyFiles) remove(s *Scope) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.shut && d.lock != nil {
		_ = os.Remove(d.path(s))
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// persisted returns the key of the file as far as this run may use it, once the
// KMS unwrapped it. An error means to make a new key.
func (c *Cache) persisted(s *Scope) (*activeKey, error) {
	if err := c.files.open(); err != nil {
		return nil, err
	}
	file, err := c.files.read(s)
	if err != nil {
		return nil, err
	}
	kb, err := envelope.ParseKeyBlock(file.block)
	if err != nil {
		return nil, err
	}
	limits, now := s.spec.Limits, time.Now()
	age := time.UnixMilli(now.UnixMilli()).Sub(file.born)
	switch {
	case kb.Tenant != s.spec.Tenant || kb.KEK != s.spec.KEKs[0]:
		return nil, &ForeignKeyError{KEK: kb.KEK, Tenant: kb.Tenant}
	case age < 0 || age >= limits.Expire || age > keyFileLongest:
		return nil, errKeyFileOld
	}
	share := func(used, limit uint64) uint64 { return (limit - min(used, limit)) / restartShare }
	seals, plain := share(file.seals, limits.Seals), share(file.bytes, limits.Bytes)
	if seals == 0 || plain == 0 {
		return nil, errKeyFileUsed
	}
	m, asked, err := s.material(context.Background(), kb)
	if err != nil {
		return nil, err
	}
	// Durable before the first seal: a crash from here on loses the share.
	file.seals, file.bytes = file.seals+seals, file.bytes+plain
	if err := c.files.write(s, file); err != nil {
		return nil, err
	}
	k := &activeKey{
		material: m, id: ID(m.commitment.KeyID()), block: slices.Clip(file.block), wrapped: kb.Wrapped,
		born: now.Add(-age), proven: asked, limits: limits,
	}
	k.limits.Seals, k.limits.Bytes = seals, plain
	if c.cfg.store != nil {
		// It was put when the key was made; a store that was restored from a
		// backup since has it again.
		ctx, cancel := context.WithTimeout(context.Background(), c.cfg.timeout)
		defer cancel()
		if err := guard(func() error { return c.cfg.store.Put(ctx, k.id, bytes.Clone(k.block)) }); err != nil {
			return nil, err
		}
	}
	if _, err := c.openers.add(s, newOpener(s, k.id, m, k.born).under(kb.KEK, kb.Wrapped)); err != nil {
		return nil, err
	}
	if k.expired(time.Now()) {
		return nil, errKeyFileOld
	}
	return k, nil
}

// firstShareOf returns what the run that makes a key may seal with it.
func firstShareOf(l Limits) Limits {
	l.Seals, l.Bytes = max(1, l.Seals/firstShare), max(1, l.Bytes/firstShare)
	return l
}

// maxPersistSeals is the limit of persisted keys with nonces of 96 bits: copies
// of a file multiply what is sealed.
const maxPersistSeals = 1 << 28

// persist writes the file of a new key, of which this run takes its share. A
// scope does without the file when that fails: it is for the next start.
func (c *Cache) persist(s *Scope, k *activeKey) {
	k.limits = firstShareOf(k.limits)
	err := c.files.open()
	if err == nil {
		err = c.files.write(s, keyFile{
			born: time.Now().Add(-time.Since(k.born)), seals: k.limits.Seals, bytes: k.limits.Bytes, block: k.block,
		})
	}
	if err != nil {
		c.persistFailed(s)
	}
}

// persistFailed counts a file that could not be used.
func (c *Cache) persistFailed(s *Scope) {
	s.counts.persistFailures.Add(1)
	c.observe(s.event(EventPersist))
}
