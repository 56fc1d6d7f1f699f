// Package tagmemory keeps what the schemas of topics had protected in a signed
// file, so that no schema takes protection away unnoticed, whichever process
// meets it first.
//
// The file is authenticated by a key that a KMS wraps: whoever can write the
// file and may not use the KEK cannot change what it says. Two things it cannot
// tell: that the file is missing, which is why [Open] never creates one, and
// that it was replaced by an older state of itself.
package tagmemory

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// Errors to test for with [errors.Is].
var (
	// ErrForged means that the file is not what was written: it was changed,
	// cut, or authenticated by another key.
	ErrForged = errors.New("tagmemory: the file is not authentic")
	// ErrForeignKEK means that the file names a KEK that the caller did not.
	ErrForeignKEK = errors.New("tagmemory: the file names a KEK that was not given")
)

const (
	version  = 1
	maxFile  = 64 << 20
	fileMode = 0o600
	info     = "fieldveil/1 tag memory"
	macSize  = sha256.Size
	lockWait = 20 * time.Millisecond
)

// header is the first line of the file; the rest is the body.
type header struct {
	Version int    `json:"fieldveil_tag_memory"`
	KEK     string `json:"kek"`
	Wrapped string `json:"wrapped"` // base64
	MAC     string `json:"mac"`     // hex
}

type body map[string]fieldcrypt.Remembered

// A File is a [fieldcrypt.Memory] in a file. It is safe for concurrent use, and
// several processes may have the same file open.
type File struct {
	path   string
	header header
	key    []byte // of the MAC
	turn   chan struct{}
	closed sync.Once
}

var _ fieldcrypt.Memory = (*File)(nil)

// Create writes an empty memory to path, which must not exist, with a new key
// wrapped under kek.
func Create(ctx context.Context, path string, w kms.Wrapper, kek string) (err error) {
	plain, wrapped, err := w.Generate(ctx, kek, encryptionContext())
	if err != nil {
		return fmt.Errorf("tagmemory: create: %w", err)
	}
	key, err := macKey(plain)
	if err != nil {
		return err
	}
	defer clear(key)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("tagmemory: create: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	h := header{Version: version, KEK: kek, Wrapped: base64.StdEncoding.EncodeToString(wrapped)}
	content, err := encode(h, key, body{})
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if err := fill(f, content); err != nil {
		return fmt.Errorf("tagmemory: create: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// Open reads the memory at path. Its key must be wrapped under one of keks: a
// file must not choose whom its reader asks. It fails with an error that wraps
// [fs.ErrNotExist] when there is none: a memory that is missing has forgotten
// everything, and whoever starts one anew has to say so, by [Create].
func Open(ctx context.Context, path string, w kms.Wrapper, keks ...string) (*File, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	h, _, err := split(content)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(keks, h.KEK) {
		return nil, ErrForeignKEK
	}
	wrapped, err := base64.StdEncoding.Strict().DecodeString(h.Wrapped)
	if err != nil {
		return nil, ErrForged
	}
	plain, err := w.Unwrap(ctx, h.KEK, wrapped, encryptionContext())
	if err != nil {
		return nil, fmt.Errorf("tagmemory: open: %w", err)
	}
	key, err := macKey(plain)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, header: h, key: key, turn: make(chan struct{}, 1)}
	if _, err := f.decode(content); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close wipes the key. The File must not be used afterwards.
func (f *File) Close() { f.closed.Do(func() { clear(f.key) }) }

// Format shows nothing but the path.
func (f *File) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "tagmemory.File("+f.path+")") }

func encryptionContext() kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "tag-memory"}
}

func macKey(plain []byte) ([]byte, error) {
	defer clear(plain)
	if len(plain) != kms.DataKeySize {
		return nil, fmt.Errorf("tagmemory: key of %d bytes", len(plain))
	}
	return hkdf.Key(sha256.New, plain, nil, info, macSize)
}

// Update implements [fieldcrypt.Memory].
func (f *File) Update(ctx context.Context, topic string, change func(fieldcrypt.Remembered) (fieldcrypt.Remembered, error)) (err error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return fmt.Errorf("tagmemory: %w", context.Cause(ctx))
	}
	unlock, err := lock(ctx, f.path+".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	content, err := read(f.path)
	if err != nil {
		return err
	}
	b, err := f.decode(content)
	if err != nil {
		return err
	}
	old := b[topic]
	next, err := change(old)
	if err != nil {
		return err
	}
	if next.Equal(old) {
		return nil
	}
	b[topic] = next
	if content, err = encode(f.header, f.key, b); err != nil {
		return err
	}
	return replace(f.path, content)
}

// Topics returns the topics that are remembered, sorted.
func (f *File) Topics() ([]string, error) {
	content, err := read(f.path)
	if err != nil {
		return nil, err
	}
	b, err := f.decode(content)
	if err != nil {
		return nil, err
	}
	topics := make([]string, 0, len(b))
	for t := range b {
		topics = append(topics, t)
	}
	slices.Sort(topics)
	return topics, nil
}

// decode checks a file and returns what it says.
func (f *File) decode(content []byte) (body, error) {
	h, rest, err := split(content)
	if err != nil {
		return nil, err
	}
	mac, err := hex.DecodeString(h.MAC)
	if err != nil || h.KEK != f.header.KEK || h.Wrapped != f.header.Wrapped {
		return nil, ErrForged
	}
	if !hmac.Equal(mac, sign(f.key, h, rest)) {
		return nil, ErrForged
	}
	b := body{}
	d := json.NewDecoder(bytes.NewReader(rest))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return nil, fmt.Errorf("tagmemory: %w", err)
	}
	return b, nil
}

// sign authenticates the key that is named and the body, each with its length.
func sign(key []byte, h header, rest []byte) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(m, "%s\n%d\n%d:%s\n%d:%s\n%d:", info, h.Version, len(h.KEK), h.KEK, len(h.Wrapped), h.Wrapped, len(rest))
	m.Write(rest)
	return m.Sum(nil)
}

func encode(h header, key []byte, b body) ([]byte, error) {
	rest, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("tagmemory: %w", err)
	}
	rest = append(rest, '\n')
	h.MAC = hex.EncodeToString(sign(key, h, rest))
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("tagmemory: %w", err)
	}
	out := append(append(line, '\n'), rest...)
	if len(out) > maxFile {
		return nil, fmt.Errorf("tagmemory: more than %d bytes", maxFile)
	}
	return out, nil
}

// split takes a file apart, without trusting it.
func split(content []byte) (h header, rest []byte, err error) {
	line, rest, ok := bytes.Cut(content, []byte("\n"))
	if !ok {
		return h, nil, ErrForged
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil || h.Version != version {
		return h, nil, ErrForged
	}
	return h, rest, nil
}

func read(path string) (content []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("tagmemory: no memory at %q, and none is made by itself: %w", path, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("tagmemory: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if content, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, fmt.Errorf("tagmemory: %w", err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("tagmemory: more than %d bytes: %w", maxFile, ErrForged)
	}
	return content, nil
}

// replace puts content in place of the file, at once or not at all.
func replace(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".next-*")
	if err != nil {
		return fmt.Errorf("tagmemory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := fill(f, content); err != nil {
		return fmt.Errorf("tagmemory: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("tagmemory: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// fill makes content durable in f and closes it.
func fill(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("tagmemory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("tagmemory: %w", err)
	}
	return nil
}
